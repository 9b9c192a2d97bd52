/* SPDX-License-Identifier: MIT
 * A preloaded library for tests: host names that the machine does not have. HOST_NAMES is "NAME=ADDRESS,ADDRESS…";
 * getaddrinfo(3) gives that name these addresses, and has no answer for any other name that ends in ".test". */
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int getaddrinfo_function(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **list) {
    getaddrinfo_function *real = (getaddrinfo_function *)dlsym(RTLD_NEXT, "getaddrinfo");
    const char *known = getenv("HOST_NAMES");
    size_t length = name != NULL ? strlen(name) : 0;
    char addresses[256], *rest = NULL;
    struct addrinfo **end = list;

    if (known == NULL || name == NULL || strncmp(known, name, length) != 0 || known[length] != '=')
        return length > 5 && strcmp(name + length - 5, ".test") == 0 ? EAI_NONAME : real(name, service, hints, list);
    (void)snprintf(addresses, sizeof addresses, "%s", known + length + 1);
    for (char *one = strtok_r(addresses, ",", &rest); one != NULL; one = strtok_r(NULL, ",", &rest)) {
        int result = real(one, service, hints, end); /* an address: nobody is asked */
        if (result != 0)
            return result;
        while (*end != NULL)
            end = &(*end)->ai_next;
    }
    return 0;
}
