/* query_command.h: commands that ask or tidy the records of runs, without a script, its
 * language or data. Each is one record, listed in query_commands.def; its options,
 * arguments and help come from it.
 *
 * All take --help and --runs DIR; those with `json` also --json. Words that are no
 * option are the command's own. */
#ifndef CLI_QUERY_COMMAND_H
#define CLI_QUERY_COMMAND_H

#include "base/fault.h"

typedef struct QueryOption {
  const char *name;  /* "--sort"; NULL ends the list */
  const char *value; /* what follows, in words: "KEY"; NULL: nothing follows */
  const char *doc;
} QueryOption;

typedef struct QueryCommand QueryCommand;

enum { QUERY_OPTIONS = 24 };

/* One use of a command, as typed. */
typedef struct QueryCall {
  const QueryCommand *command;
  const char *runs; /* directory of the records */
  int threads;      /* of --threads before the command; 0: not given */
  bool json;
  bool help;
  int n_words;
  char **words;                     /* arguments that are no options */
  const char *value[QUERY_OPTIONS]; /* per option of the record; "" for a bare one,
                                         NULL: not given */
} QueryCall;

struct QueryCommand {
  const char *name;
  const char *usage;        /* after the name: "[experiment] [key=value ...]" */
  const char *doc;          /* one line */
  const char *details;      /* further lines of its help; NULL: none */
  void (*print_more)(void); /* prints those that are in a table elsewhere; NULL: none */
  const QueryOption *options; /* NULL: none of its own */
  bool json;
  /* Prints its results by out_print. The status of the program comes from the Err. */
  Err (*run)(const QueryCall *call, Fault *fault);
};

#define COMMAND(name) extern const QueryCommand command_##name;
#include "cli/query_commands.def"
#undef COMMAND

/* The command of that name, or NULL. */
const QueryCommand *query_command_find(const char *name);

/* All of them, for the program's help. NULL-terminated. */
extern const QueryCommand *const query_commands[];

/* Reads `words` (what follows the command's name) into the call. ERR_USAGE with the
 * nearest option. `words` is used for the arguments and must outlive the call. */
Err query_command_parse(QueryCall *call, char **words, int n, Fault *fault) WARN_UNUSED;

/* Runs it, or prints its help. */
Err query_command_run(const QueryCall *call, Fault *fault) WARN_UNUSED;

/* The value of an option of the command, NULL if it was not given; "" for a bare
 * one. */
const char *query_call_option(const QueryCall *call, const char *name);

/* The same as an integer of at least `lo`; `fallback` if it was not given.
 * ERR_USAGE. */
Err query_call_int(const QueryCall *call, const char *name, long lo, long fallback,
                   long *out, Fault *fault) WARN_UNUSED;

#endif
