/* Private to oidc/: providers. */
#ifndef OIDC_PROVIDER_H
#define OIDC_PROVIDER_H

#include "oidc/private.h"

#include <pthread.h>
#include <sys/stat.h>

struct provider {
    char *issuer, *audience, *jwks;
    const char *name; /* in issuer, behind "https://" */
    pthread_mutex_t lock;
    struct oidc_keys keys; /* under the lock: of the file as it was seen */
    struct stat seen;
};

struct oidc {
    struct provider *providers;
    size_t count;
};

/* Reads the file again if it is another one; the caller holds the lock. 0 or a
 * negative errno, which is logged: then there are no keys. */
int provider_refresh(struct provider *provider);

#endif
