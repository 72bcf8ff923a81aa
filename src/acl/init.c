/* SPDX-License-Identifier: Apache-2.0 */
/* Beginning and end, and the one key that is read from the configuration. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "internal.h"

enum { MAX_CONFIG = 10485760 }; /* 10 MiB */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t uses; /* guarded by lock */

/* ---- The configuration -------------------------------------------------------------------------------------- */

/*
 * A pass over the text, not a parser of JSON: libc is all this library stands on, and one key is all it needs. The
 * pass knows strings and nesting, so it finds the key where it is a key of the outermost object, and refuses a text
 * that is no object, is not closed, or goes on after its end.
 */
typedef struct scanner {
    const char *at, *end;
} scanner;

static void skip_space(scanner *s)
{
    static const char spaces[4] = {' ', '\t', '\r', '\n'}; /* no terminator: a zero byte is no space */
    while (s->at < s->end && memchr(spaces, *s->at, sizeof spaces) != NULL) s->at++;
}

/* Passes over a string, quotes included; text and length are what is between, as written. */
static bool scan_string(scanner *s, const char **text, size_t *length)
{
    *text = ++s->at;
    while (s->at < s->end && *s->at != '"') s->at += *s->at == '\\' ? 2 : 1;
    if (s->at >= s->end) return false;
    *length = (size_t)(s->at++ - *text);
    return true;
}

static bool is_text(const char *text, size_t length, const char *expected)
{
    return length == strlen(expected) && memcmp(text, expected, length) == 0;
}

/* After a string of the outermost object: when that was the key, sets *process_wide from its value. */
static bool scan_value(scanner *s, bool is_key, bool *process_wide)
{
    skip_space(s);
    if (!is_key || s->at >= s->end || *s->at != ':') return true;
    s->at++;
    skip_space(s);
    if (s->at >= s->end || *s->at != '"') return true;
    const char *text;
    size_t length;
    if (!scan_string(s, &text, &length)) return false;
    *process_wide = is_text(text, length, "1");
    return true;
}

#define MAX_DEPTH 64

static bool scan_config(const char *text, size_t size, bool *process_wide)
{
    scanner s = {text, text + size};
    char closers[MAX_DEPTH];
    size_t depth = 0;
    skip_space(&s);
    if (s.at >= s.end || *s.at != '{') return false;
    do {
        char c = *s.at;
        if (c == '"') {
            const char *word;
            size_t length;
            if (!scan_string(&s, &word, &length)) return false;
            if (!scan_value(&s, depth == 1 && is_text(word, length, "err_msg_mode"), process_wide)) return false;
            continue;
        }
        s.at++;
        if (c == '{' || c == '[') {
            if (depth == MAX_DEPTH) return false;
            closers[depth++] = c == '{' ? '}' : ']';
        } else if (c == '}' || c == ']') {
            if (closers[--depth] != c) return false;
        }
    } while (depth > 0 && s.at < s.end);
    skip_space(&s);
    return depth == 0 && s.at == s.end;
}

/* Reads exactly size bytes: a file that shrinks meanwhile is one that cannot be read. */
static bool read_all(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "rbe");
    bool done = file != NULL && fread(text, 1, size, file) == size;
    if (file != NULL) (void)fclose(file);
    return done;
}

/* The text of the file with its size, to be freed; NULL with *status set. */
static char *read_config(const char *path, size_t *size, aclError *status)
{
    struct stat file;
    if (stat(path, &file) != 0 || !S_ISREG(file.st_mode) || file.st_size > MAX_CONFIG) {
        *status =
            acl_report(ACL_ERROR_INVALID_FILE, "aclInit: \"%s\" is no file of at most %d bytes", path, MAX_CONFIG);
        return NULL;
    }
    *size = (size_t)file.st_size;
    char *text = malloc(*size + 1);
    if (text == NULL) {
        *status = acl_report(ACL_ERROR_BAD_ALLOC, "aclInit: no memory to read \"%s\"", path);
    } else if (!read_all(path, text, *size)) {
        *status = acl_report(ACL_ERROR_INVALID_FILE, "aclInit: \"%s\" cannot be read", path);
        free(text);
        text = NULL;
    }
    return text;
}

static aclError load_config(const char *path, bool *process_wide)
{
    *process_wide = false;
    if (path == NULL || path[0] == '\0') return ACL_SUCCESS;
    aclError status;
    size_t size;
    char *text = read_config(path, &size, &status);
    if (text == NULL) return status;
    bool ok = scan_config(text, size, process_wide);
    free(text);
    if (ok) return ACL_SUCCESS;
    return acl_report(ACL_ERROR_PARSE_FILE, "aclInit: \"%s\" is not an object in JSON", path);
}

/* ---- The vendor's functions --------------------------------------------------------------------------------- */

void acl_init_fork(acl_fork_phase phase)
{
    acl_lock_fork(&lock, phase);
}

aclError aclInit(const char *configPath)
{
    aclError status = ACL_SUCCESS;
    pthread_mutex_lock(&lock);
    if (uses > 0) {
        uses += 1;
        status = acl_report(ACL_ERROR_REPEAT_INITIALIZE, "aclInit: called before; this one is counted");
    } else {
        bool process_wide;
        status = load_config(configPath, &process_wide);
        if (status == ACL_SUCCESS) {
            acl_set_process_messages(process_wide);
            uses = 1;
        }
    }
    pthread_mutex_unlock(&lock);
    return status;
}

static aclError finalize(const char *function, bool all, uint64_t *left)
{
    pthread_mutex_lock(&lock);
    bool any = uses > 0;
    uses = all || !any ? 0 : uses - 1;
    if (left != NULL) *left = uses;
    pthread_mutex_unlock(&lock);
    if (any) return ACL_SUCCESS;
    return acl_report(ACL_ERROR_REPEAT_FINALIZE, "%s: there is no aclInit to end", function);
}

aclError aclFinalize(void)
{
    return finalize(__func__, true, NULL);
}
aclError aclFinalizeReference(uint64_t *refCount)
{
    return finalize(__func__, false, refCount);
}

aclError aclrtGetVersion(int32_t *majorVersion, int32_t *minorVersion, int32_t *patchVersion)
{
    if (majorVersion == NULL) return acl_report_null(__func__, "majorVersion");
    if (minorVersion == NULL) return acl_report_null(__func__, "minorVersion");
    if (patchVersion == NULL) return acl_report_null(__func__, "patchVersion");
    *majorVersion = ACL_MAJOR_VERSION;
    *minorVersion = ACL_MINOR_VERSION;
    *patchVersion = ACL_PATCH_VERSION;
    return ACL_SUCCESS;
}
