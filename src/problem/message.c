/* SPDX-License-Identifier: Apache-2.0 */
#include "message.h"

#include <stdarg.h>
#include <stdio.h>

#define STRING2(x) #x
#define STRING(x) STRING2(x)

static _Thread_local char text[512];

floyd_status(floyd_fail)(floyd_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return status;
}

const char *floyd_last_message(void)
{
    return text;
}

const char *floyd_status_name(floyd_status status)
{
    static const char *const names[] = {"FLOYD_OK",
                                        "FLOYD_ERROR_NULL",
                                        "FLOYD_ERROR_DTYPE",
                                        "FLOYD_ERROR_SHAPE",
                                        "FLOYD_ERROR_OVERFLOW",
                                        "FLOYD_ERROR_STRIDE",
                                        "FLOYD_ERROR_OVERLAP",
                                        "FLOYD_ERROR_OPTION",
                                        "FLOYD_ERROR_WORKSPACE",
                                        "FLOYD_ERROR_UNSUPPORTED",
                                        "FLOYD_ERROR_SYSTEM",
                                        "FLOYD_ERROR_CANCELLED"};
    const unsigned index = (unsigned)status;
    return index < sizeof names / sizeof names[0] ? names[index] : "unknown status";
}

const char *floyd_version(void)
{
    return STRING(FLOYD_VERSION_MAJOR) "." STRING(FLOYD_VERSION_MINOR) "." STRING(FLOYD_VERSION_PATCH);
}
