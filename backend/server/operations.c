/*
 * Names of operations, as S3's documentation writes them.
 */
#include "server/private.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* "LIST_OBJECTS_V2" is ListObjectsV2. */
void operation_name(unsigned operation, char name[40])
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(
        &wire__operation__descriptor, (int)operation);
    if (value == NULL) {
        snprintf(name, 40, "Operation%u", operation);
        return;
    }
    bool upper = true;
    size_t size = 0;
    for (const char *c = value->name; *c != '\0' && size < 39; c++) {
        if (*c != '_') {
            name[size++] = (char)(upper ? *c : tolower((unsigned char)*c));
        }
        upper = *c == '_';
    }
    name[size] = '\0';
}
