/*
 * The key that SigV4 signs with: of one day, region and service. Pure.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
#ifndef BASE_SIGNING_KEY_H
#define BASE_SIGNING_KEY_H

#include "base/base.h"

#define SIGNING_SECRET_MAX 128 /* bytes */
#define SIGNING_KEY_SIZE   32

/* `date` is YYYYMMDD; the secret has at most SIGNING_SECRET_MAX bytes. */
void signing_key(struct slice secret, struct slice date, struct slice region,
                 struct slice service, uint8_t key[SIGNING_KEY_SIZE]);

#endif
