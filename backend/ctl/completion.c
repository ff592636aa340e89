/*
 * s3ctl completion: a script of the tables that the command line is parsed by.
 * It is bash's, in what zsh understands too where its bashcompinit calls it: no
 * mapfile, and no name that is special in one of the two.
 */
#include "ctl/ctl.h"
#include <stdio.h>
#include <string.h>

static const char script_begin[] =
    "# Each command, and after | the options that it takes.\n"
    "_s3ctl_commands='";

static const char script_end[] =
    "_s3ctl()\n"
    "{\n"
    "    local current=${COMP_WORDS[COMP_CWORD]} given= found= choices= i\n"
    "    local name takes rest IFS=$'\\n'\n"
    "    COMPREPLY=()\n"
    "    case \" $_s3ctl_files \" in *\" ${COMP_WORDS[COMP_CWORD-1]} \"*)\n"
    "        COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n"
    "    esac\n"
    "    case \" $_s3ctl_values \" in *\" ${COMP_WORDS[COMP_CWORD-1]} \"*)\n"
    "        return ;;\n"
    "    esac\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        case \" $_s3ctl_files $_s3ctl_values \" in\n"
    "        *\" ${COMP_WORDS[i]} \"*) i=$((i + 1)); continue ;;\n"
    "        esac\n"
    "        [[ ${COMP_WORDS[i]} == -* ]] || given+=\"${COMP_WORDS[i]} \"\n"
    "    done\n"
    "    while IFS='|' read -r name takes; do\n"
    "        if [[ $given == \"$name \"* && ${#name} -ge ${#found} ]]; then\n"
    "            found=$name\n"
    "            [[ $current != -* ]] || choices=$takes\n"
    "        fi\n"
    "        if [[ \"$name \" == \"$given\"* && $current != -* ]]; then\n"
    "            rest=${name:${#given}}\n"
    "            choices+=\" ${rest%% *}\"\n"
    "        fi\n"
    "    done <<< \"$_s3ctl_commands\"\n"
    "    [[ $current != -* || -n $found ]] || choices=$_s3ctl_options\n"
    "    COMPREPLY=($(IFS=' '; compgen -W \"$choices\" -- \"$current\" | "
    "sort -u))\n"
    "    if [[ -n $found && $current != -* && ${#COMPREPLY[@]} -eq 0 ]]; then\n"
    "        COMPREPLY=($(compgen -f -- \"$current\"))\n"
    "    fi\n"
    "}\n"
    "complete -F _s3ctl s3ctl\n";

/* Those that every command takes, and those of `options`. */
static void print_options(unsigned options)
{
    for (const struct ctl_option_row *row = ctl_options; row->name != NULL;
         row++) {
        if (row->option == 0 || (row->option & options) != 0) {
            printf("--%s ", row->name);
        }
    }
}

static void print_commands(void)
{
    for (const struct ctl_command *command = ctl_commands;
         command->words != NULL; command++) {
        printf("%s|", command->words);
        if (is_transfer(command->words)) {
            for (const struct option *option = transfer_options;
                 option->name != NULL; option++) {
                printf("--%s ", option->name);
            }
        } else {
            print_options(command->options);
        }
        putchar('\n');
    }
}

static bool names_file(const char *value)
{
    return value != NULL &&
           (strcmp(value, "FILE") == 0 || strcmp(value, "SOCKET") == 0);
}

/* Options with a value: names of files, or of something else. */
static void print_values(bool files)
{
    for (const struct ctl_option_row *row = ctl_options; row->name != NULL;
         row++) {
        if (row->value == NULL || names_file(row->value) != files) {
            continue;
        }
        printf("--%s ", row->name);
        if (row->letter != '\0') {
            printf("-%c ", row->letter);
        }
    }
    for (const struct option *option = transfer_options;
         option->name != NULL && !files; option++) {
        if (option->has_arg == required_argument) {
            printf("--%s ", option->name);
        }
    }
}

static void print_script(void)
{
    fputs(script_begin, stdout);
    print_commands();
    printf("'\n_s3ctl_options='");
    print_options(0);
    printf("'\n_s3ctl_files='");
    print_values(true);
    printf("'\n_s3ctl_values='");
    print_values(false);
    printf("'\n");
    fputs(script_end, stdout);
}

enum ctl_exit run_completion_bash(const struct ctl_given *given, char **words)
{
    (void)given;
    (void)words;
    puts("# bash completion of s3ctl: made by `s3ctl completion bash`.");
    print_script();
    return CTL_OK;
}

enum ctl_exit run_completion_zsh(const struct ctl_given *given, char **words)
{
    (void)given;
    (void)words;
    puts("# zsh completion of s3ctl: made by `s3ctl completion zsh`.\n"
         "(( $+functions[compdef] )) || { autoload -Uz compinit; compinit; }\n"
         "autoload -Uz bashcompinit; bashcompinit");
    print_script();
    return CTL_OK;
}
