/*
 * s3ctl --help, and what is said of a command line that is wrong.
 */
#include "ctl/ctl.h"
#include "ctl/show.h"
#include <string.h>

#define USAGE "usage: s3ctl [-s SOCKET] [--json] COMMAND\n"

#define COLUMN 42 /* where what a command does begins */

/* --- which commands are meant ----------------------------------------------*/
/* How many of the words, from the first one on, are the command's. */
static int words_of(const struct ctl_command *command, int count, char **words)
{
    const char *at = command->words;
    int same = 0;
    while (same < count && *at != '\0') {
        const size_t size = strcspn(at, " ");
        if (strlen(words[same]) != size || memcmp(words[same], at, size) != 0) {
            break;
        }
        same++;
        at += size;
        at += strspn(at, " ");
    }
    return same;
}

/* So many that some command has: 0 means all commands. */
static int words_known(int count, char **words)
{
    int most = 0;
    for (const struct ctl_command *command = ctl_commands;
         command->words != NULL; command++) {
        const int same = words_of(command, count, words);
        most = same > most ? same : most;
    }
    return most;
}

/* --- what is printed -------------------------------------------------------*/
static void print_option(FILE *out, const struct ctl_option_row *row)
{
    char letter[8] = "    ";
    if (row->letter != '\0') {
        snprintf(letter, sizeof(letter), "-%c, ", row->letter);
    }
    const int width = fprintf(out, "  %s--%s%s%s", letter, row->name,
                              row->value != NULL ? " " : "",
                              row->value != NULL ? row->value : "");
    fprintf(out, "%*s%s\n", width < 30 ? 30 - width : 1, "", row->help);
}

static void print_command(FILE *out, const struct ctl_command *command)
{
    int width = fprintf(out, "  %s", command->words);
    for (const struct ctl_argument *argument = command->arguments;
         argument->name != NULL; argument++) {
        width += fprintf(out, " %s", argument->shown);
    }
    fprintf(out, "%*s%s\n", width < COLUMN ? COLUMN - width : 1, "",
            command->help);
}

void ctl_wrong(int count, char **words)
{
    if (count > 0 && words_known(count, words) == 0) {
        fputs(USAGE, stderr);
        show_error("no such command: %s; s3ctl --help shows all", words[0]);
        return;
    }
    ctl_help(stderr, count, words);
}

void ctl_help(FILE *out, int count, char **words)
{
    const int known = words_known(count, words);
    unsigned options = 0;
    fputs(USAGE, out);
    for (const struct ctl_command *command = ctl_commands;
         command->words != NULL; command++) {
        if (words_of(command, known, words) == known) {
            print_command(out, command);
            options |= command->options;
        }
    }
    fputs("\n", out);
    for (const struct ctl_option_row *row = ctl_options; row->name != NULL;
         row++) {
        if (row->option == 0 || (row->option & options) != 0) {
            print_option(out, row);
        }
    }
    fputs("exit: 0 done, 1 refused, 2 usage, 3 no answer, 4 not all was done,\n"
          "5 there is something to mend\n",
          out);
}
