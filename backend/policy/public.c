/*
 * The meaning of "public": an Allow for everybody that no condition ties to
 * fixed values of something that strangers cannot choose. S3 also counts
 * s3:x-amz-server-side-encryption-aws-kms-key-id: there KMS asks who may use a
 * key, here everybody may name one.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status
 */
#include "policy/private.h"

/* Shorter prefixes are everybody's. */
#define BROAD_IPV4_BITS 8
#define BROAD_IPV6_BITS 32

static const char *const fixing_keys[] = {
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
    "aws:SourceOwner",
    "aws:SourceVpc",
    "aws:SourceVpce",
    "aws:userid",
    "s3:DataAccessPointAccount",
};

static bool is_key(const struct condition *condition, const char *name)
{
    return slice_equal_fold(condition->key, slice_from_string(name));
}

static bool network_is_narrow(const struct network *network)
{
    unsigned broad = network->size == 4 ? BROAD_IPV4_BITS : BROAD_IPV6_BITS;

    return network->bits >= broad;
}

/* "arn:aws:s3:region:account:accesspoint/..." of a fixed account. */
static bool access_point_is_fixed(struct slice arn)
{
    for (int colons = 0; colons < 4; colons++) {
        const uint8_t *colon = slice_find(arn, ':');
        if (colon == NULL) {
            return false;
        }
        arn = slice_tail(arn, (size_t)(colon - arn.data) + 1);
    }
    const uint8_t *end = slice_find(arn, ':');
    return end != NULL && end != arn.data &&
           text_is_fixed(slice_head(arn, (size_t)(end - arn.data)));
}

static bool key_fixes(const struct condition *condition,
                      const struct operand *operand)
{
    if (is_key(condition, "s3:DataAccessPointArn")) {
        return access_point_is_fixed(operand->text);
    }
    for (size_t i = 0; i < sizeof(fixing_keys) / sizeof(fixing_keys[0]); i++) {
        if (is_key(condition, fixing_keys[i])) {
            return operand->text.size > 0 && text_is_fixed(operand->text);
        }
    }
    return false;
}

static bool operand_fixes(const struct condition *condition,
                          const struct operand *operand)
{
    switch (condition->op->type) {
    case OPERATOR_IP:
        return is_key(condition, "aws:SourceIp") &&
               network_is_narrow(&operand->network);
    case OPERATOR_STRING:
    case OPERATOR_ARN:
        return key_fixes(condition, operand);
    default:
        return false;
    }
}

/* All its values are fixed, and the key must be there. */
static bool condition_fixes(const struct condition *condition)
{
    if (condition->op->negated || condition->if_exists ||
        condition->quantifier == FOR_ALL_VALUES) {
        return false;
    }
    for (size_t i = 0; i < condition->count; i++) {
        if (!operand_fixes(condition, &condition->operands[i])) {
            return false;
        }
    }
    return true;
}

static bool for_everybody(const struct statement *statement)
{
    if (statement->not_principals) {
        return true;
    }
    for (size_t i = 0; i < statement->principal_count; i++) {
        if (statement->principals[i].type == PRINCIPAL_ANYONE) {
            return true;
        }
    }
    return false;
}

bool statement_is_public(const struct statement *statement)
{
    if (!statement->allows || !for_everybody(statement)) {
        return false;
    }
    for (size_t i = 0; i < statement->condition_count; i++) {
        if (condition_fixes(&statement->conditions[i])) {
            return false;
        }
    }
    return true;
}
