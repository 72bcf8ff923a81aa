/* SPDX-License-Identifier: Apache-2.0 */
#include "command_files.h"

#include "input.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_file(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    MUST(file && fwrite(data, 1, bytes, file) == bytes && fclose(file) == 0);
}

/* B = H = 1, N = 2, M = 3, K = 2, D = 1: six or fewer elements each, in fp32. */
static const struct {
    const char *name;
    int sizes[3];
} tensors[] = {{"query", {2, 3, 1}}, {"key1", {2, 2, 1}},   {"value1", {2, 2, 1}},
               {"key2", {2, 3, 1}},  {"value2", {2, 3, 1}}, {"dy", {2, 3, 1}}};
enum { TENSORS = sizeof tensors / sizeof *tensors };
static const float values[6] = {1, -2, 0.5f, 3, 0, -1};

static size_t bytes_of(int i)
{
    const int *s = tensors[i].sizes;
    return (size_t)(s[0] * s[1] * s[2]) * sizeof(float);
}

static void write_safetensors(const char *path)
{
    char text[2048] = "{\"__metadata__\":{\"scale\":\"0.5\"}";
    size_t begin = 0;
    for (int i = 0; i < TENSORS; i++) {
        const int *s = tensors[i].sizes;
        const size_t end = begin + bytes_of(i), length = strlen(text);
        snprintf(text + length, sizeof text - length,
                 ",\"%s\":{\"dtype\":\"F32\",\"shape\":[1,1,%d,%d,%d],\"data_offsets\":[%zu,%zu]}", tensors[i].name,
                 s[0], s[1], s[2], begin, end);
        begin = end;
    }
    strcat(text, "}");
    FILE *file = fopen(path, "wb");
    const uint64_t length = strlen(text);
    MUST(file && fwrite(&length, sizeof length, 1, file) == 1 && fwrite(text, 1, length, file) == length);
    for (int i = 0; i < TENSORS; i++) MUST(fwrite(values, 1, bytes_of(i), file) == bytes_of(i));
    MUST(fclose(file) == 0);
}

static void write_npy(const char *directory, int i)
{
    char path[64], text[128];
    const int *s = tensors[i].sizes;
    snprintf(path, sizeof path, "%s/%s.npy", directory, tensors[i].name);
    const int length =
        snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, %d, %d, %d)}\n", s[0],
                 s[1], s[2]);
    FILE *file = fopen(path, "wb");
    MUST(file && fwrite("\x93NUMPY\x01\x00", 1, 8, file) == 8 && fputc(length, file) == length &&
         fputc(0, file) == 0);
    MUST(fwrite(text, 1, (size_t)length, file) == (size_t)length &&
         fwrite(values, 1, bytes_of(i), file) == bytes_of(i));
    MUST(fclose(file) == 0);
}

/* ---- files that a run may write over --------------------------------------------------------------------- */

enum { LARGEST = 4096 };

static struct {
    const char *name;
    char content[LARGEST];
    size_t bytes;
} files[] = {{.name = "in"}, {.name = "bad"}, {.name = "empty"}, {.name = "old"}, {.name = "old.safetensors"}};
enum { FILES = sizeof files / sizeof *files };

static size_t read_file(const char *path, char content[LARGEST])
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t bytes = fd >= 0 ? read(fd, content, LARGEST) : -1;
    if (fd >= 0) close(fd);
    return bytes < 0 ? SIZE_MAX : (size_t)bytes;
}

/* Writes a file again unless it is as it was; whether it was. */
static bool restore(int i)
{
    char content[LARGEST];
    if (read_file(files[i].name, content) == files[i].bytes &&
        memcmp(content, files[i].content, files[i].bytes) == 0)
        return true;
    write_file(files[i].name, files[i].content, files[i].bytes);
    return false;
}

static const char *const given[] = {".", "..", "good", "link", "more"};
enum { GIVEN = sizeof given / sizeof *given };

void enter_directory(void)
{
    static const char old[] = "this was here before";
    char path[512];
    const char *place = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/floydattn-fuzz-XXXXXX", place ? place : "/tmp");
    MUST(mkdtemp(path) && chdir(path) == 0);
    write_safetensors("in");
    MUST(mkdir("good", 0700) == 0 && mkdir("more", 0700) == 0);
    for (int i = 0; i < TENSORS; i++) write_npy("good", i);
    write_file("bad", "\x08\0\0\0\0\0\0\0{\"dy\":1}", 16);
    write_file("empty", "", 0);
    write_file("old", old, sizeof old);
    write_file("old.safetensors", old, sizeof old);
    MUST(symlink("old", "link") == 0);
    for (int i = 0; i < FILES; i++) {
        files[i].bytes = read_file(files[i].name, files[i].content);
        MUST(files[i].bytes < LARGEST);
    }
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info, (void)kind, (void)place;
    return remove(path);
}

static bool is_given(const char *name)
{
    for (int i = 0; i < FILES; i++)
        if (strcmp(files[i].name, name) == 0) return true;
    for (int i = 0; i < GIVEN; i++)
        if (strcmp(given[i], name) == 0) return true;
    return false;
}

/* Removes what is new in a directory; whether nothing was. */
static bool sweep(const char *path, bool (*stays)(const char *), bool cut_short)
{
    bool clean = true;
    DIR *directory = opendir(path);
    MUST(directory);
    for (const struct dirent *entry; (entry = readdir(directory));) {
        char whole[512];
        if (stays(entry->d_name)) continue;
        /* ".NAME.XXXXXX" is the command's; a name that add_word() makes and that begins so has 8 bytes at most */
        MUST(entry->d_name[0] != '.' || cut_short || strlen(entry->d_name) <= 8);
        snprintf(whole, sizeof whole, "%s/%s", path, entry->d_name);
        MUST(nftw(whole, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0);
        clean = false;
    }
    closedir(directory);
    return clean;
}

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static bool is_input(const char *name)
{
    char path[64];
    for (int i = 0; i < TENSORS; i++) {
        snprintf(path, sizeof path, "%s.npy", tensors[i].name);
        if (strcmp(path, name) == 0) return true;
    }
    return is_dot(name);
}

bool tidy_directory(bool cut_short)
{
    struct stat info;
    const bool link_stays = lstat("link", &info) == 0 && S_ISLNK(info.st_mode);
    bool kept = true;
    for (int i = 0; i < FILES; i++) kept &= restore(i);
    kept &= sweep(".", is_given, cut_short);
    kept &= sweep("good", is_input, cut_short);
    kept &= sweep("more", is_dot, cut_short);
    MUST(link_stays);
    return kept;
}
