/* Names of operations. */
#include "wire/wire.h"

#include "wire.pb-c.h"

#include <ctype.h>
#include <stdio.h>

/* "LIST_OBJECTS_V2" is ListObjectsV2. */
void operation_name(unsigned operation, char name[OPERATION_NAME_SIZE])
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(
        &wire__operation__descriptor, (int)operation);
    size_t size = 0;
    int upper = 1;

    if (value == NULL) {
        snprintf(name, OPERATION_NAME_SIZE, "Operation%u", operation);
        return;
    }
    for (const char *c = value->name; *c != '\0'; c++) {
        if (*c != '_' && size < OPERATION_NAME_SIZE - 1) {
            name[size++] = (char)(upper ? *c : tolower((unsigned char)*c));
        }
        upper = *c == '_';
    }
    name[size] = '\0';
}
