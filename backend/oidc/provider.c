/* Providers, and their keys as the files are now. */
#include "oidc/provider.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int read_all(int fd, struct buffer *out)
{
    ssize_t got;

    buffer_reserve(out, OIDC_JWKS_MAX + 1);
    do {
        got = read(fd, out->data + out->size, OIDC_JWKS_MAX + 1 - out->size);
        if (got > 0) {
            out->size += (size_t)got;
        }
    } while ((got > 0 && out->size <= OIDC_JWKS_MAX) ||
             (got < 0 && errno == EINTR));
    if (got < 0) {
        return -errno;
    }
    return out->size <= OIDC_JWKS_MAX ? 0 : -EFBIG;
}

/* The keys of an open file; none of it if anything is wrong. */
static int load(struct provider *provider, int fd, const struct stat *now)
{
    struct buffer text = {0};
    int error = read_all(fd, &text);

    keys_free(&provider->keys);
    if (error == 0) {
        error = keys_parse(slice_of(text.data, text.size), &provider->keys);
    }
    provider->seen = *now;
    buffer_free(&text);
    return error;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
           a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

int provider_refresh(struct provider *provider)
{
    struct stat now;
    int error = 0;
    int fd = open(provider->jwks, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &now) != 0 || !S_ISREG(now.st_mode)) {
        error = fd < 0 ? -errno : -EINVAL;
        keys_free(&provider->keys);
        memset(&provider->seen, 0, sizeof(provider->seen));
    } else if (!same_file(&now, &provider->seen)) {
        error = load(provider, fd, &now);
    } else if (provider->keys.count == 0) {
        error = -EINVAL;
    }
    if (fd >= 0) {
        close(fd);
    }
    if (error != 0) {
        log_error("no keys in %s: %s", provider->jwks, strerror(-error));
    }
    return error;
}

static const char *without_scheme(const char *issuer)
{
    static const char scheme[] = "https://";

    return strncmp(issuer, scheme, sizeof(scheme) - 1) == 0
               ? issuer + sizeof(scheme) - 1
               : issuer;
}

struct oidc *oidc_new(const struct oidc_provider *providers, size_t count)
{
    struct oidc *oidc = xcalloc(1, sizeof(*oidc));

    oidc->providers = xcalloc(count + 1, sizeof(*oidc->providers));
    oidc->count = count;
    for (size_t i = 0; i < count; i++) {
        struct provider *provider = &oidc->providers[i];

        pthread_mutex_init(&provider->lock, NULL);
        provider->issuer = xstrdup(providers[i].issuer);
        provider->name = without_scheme(provider->issuer);
        provider->audience = xstrdup(providers[i].audience);
        provider->jwks = xstrdup(providers[i].jwks);
    }
    return oidc;
}

void oidc_free(struct oidc *oidc)
{
    if (oidc == NULL) {
        return;
    }
    for (size_t i = 0; i < oidc->count; i++) {
        struct provider *provider = &oidc->providers[i];

        pthread_mutex_destroy(&provider->lock);
        keys_free(&provider->keys);
        free(provider->issuer);
        free(provider->audience);
        free(provider->jwks);
    }
    free(oidc->providers);
    free(oidc);
}
