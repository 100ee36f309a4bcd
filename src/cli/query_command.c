/* query_command.c: reading and running these commands; see query_command.h. */
#include "cli/query_command.h"
#include "base/out.h"
#include "base/text.h"
#include "cli/page.h"
#include "lab/filter.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const QueryCommand *const query_commands[] = {
#define COMMAND(name) &command_##name,
#include "cli/query_commands.def"
#undef COMMAND
    NULL};

/* Of every command. */
enum { HELP, RUNS, JSON, N_COMMON };
static const QueryOption common[N_COMMON] = {
    [HELP] = {"--help", NULL, "this text"},
    [RUNS] = {"--runs", "DIR", "where runs are recorded (default: runs)"},
    [JSON] = {"--json", NULL, "the answer as JSON"}};

const QueryCommand *query_command_find(const char *name) {
  for (const QueryCommand *const *c = query_commands; *c; c++)
    if (strcmp((*c)->name, name) == 0) return *c;
  return NULL;
}

/* -- reading ----------------------------------------------------------------------- */

static bool is_option(const QueryOption *option, const char *word, size_t length) {
  return strlen(option->name) == length && memcmp(option->name, word, length) == 0;
}

static Err unknown_option(const QueryCall *call, const char *word, Fault *fault) {
  const char *names[QUERY_OPTIONS + N_COMMON];
  int n = 0;
  for (const QueryOption *o = call->command->options; o && o->name; o++)
    names[n++] = o->name;
  for (int i = 0; i < N_COMMON; i++)
    if (i != JSON || call->command->json) names[n++] = common[i].name;
  const char *nearest = text_nearest(word, names, n);
  return fault_set(fault, ERR_USAGE,
                   nearest ? "%s: unknown option %s; did you mean %s?"
                           : "%s: unknown option %s; see runner %s --help",
                   call->command->name, word, nearest ? nearest : call->command->name);
}

/* The option that a word names and where its value is to be put; NULL and a fault. */
static const QueryOption *find_option(QueryCall *call, const char *word, size_t length,
                                      const char ***value, Fault *fault) {
  static const char *ignored;
  const QueryOption *own = call->command->options;
  for (int i = 0; own && own[i].name; i++) {
    must(i < QUERY_OPTIONS);
    *value = &call->value[i];
    if (is_option(&own[i], word, length)) return &own[i];
  }
  for (int i = 0; i < N_COMMON; i++) {
    if ((i == JSON && !call->command->json) || !is_option(&common[i], word, length))
      continue;
    *value = i == RUNS ? &call->runs : &ignored;
    if (i == HELP) call->help = true;
    if (i == JSON) call->json = true;
    return &common[i];
  }
  unknown_option(call, word, fault);
  return NULL;
}

static Err take_option(QueryCall *call, char **words, int n, int *at, Fault *fault) {
  const char *word = words[*at], *equals = strchr(word, '=');
  size_t length = equals ? (size_t)(equals - word) : strlen(word);
  const char **value;
  const QueryOption *option = find_option(call, word, length, &value, fault);
  if (!option) return fault->code;
  const char *given = equals ? equals + 1 : NULL;
  if (!option->value) {
    if (given)
      return fault_set(fault, ERR_USAGE, "%s: %s takes no value", call->command->name,
                       option->name);
    *value = "";
    return ERR_OK;
  }
  if (!given && *at + 1 < n) given = words[++*at];
  if (!given || !*given)
    return fault_set(fault, ERR_USAGE, "%s: %s: %s is missing", call->command->name,
                     option->name, option->value);
  *value = given;
  return ERR_OK;
}

/* "runs/name/", as a shell completes it, is "name". In place; a filter stays as it
 * is. */
static void shorten_path(const char *runs, char **word) {
  size_t n_runs = strlen(runs), n = strlen(*word);
  if (filter_is_term(*word)) return;
  while (n > 1 && (*word)[n - 1] == '/') (*word)[--n] = 0;
  while (n_runs > 1 && runs[n_runs - 1] == '/') n_runs--;
  if (strncmp(*word, runs, n_runs) == 0 && (*word)[n_runs] == '/' &&
      (*word)[n_runs + 1])
    *word += n_runs + 1;
}

Err query_command_parse(QueryCall *call, char **words, int n, Fault *fault) {
  bool options_end = false;
  call->words = words;
  call->n_words = 0;
  for (int i = 0; i < n; i++) {
    bool option = !options_end && words[i][0] == '-' && words[i][1];
    if (option && strcmp(words[i], "--") == 0) options_end = true;
    else if (!option) call->words[call->n_words++] = words[i];
    else if (take_option(call, words, n, &i, fault)) return fault->code;
  }
  for (int i = 0; i < call->n_words; i++) shorten_path(call->runs, &call->words[i]);
  return ERR_OK;
}

const char *query_call_option(const QueryCall *call, const char *name) {
  const QueryOption *own = call->command->options;
  for (int i = 0; own && own[i].name; i++)
    if (strcmp(own[i].name, name) == 0) return call->value[i];
  must_failed("an option of the command", __FILE__, __LINE__, name);
}

Err query_call_int(const QueryCall *call, const char *name, long lo, long fallback,
                   long *out, Fault *fault) {
  const char *text = query_call_option(call, name);
  char *end;
  *out = fallback;
  if (!text) return ERR_OK;
  errno = 0;
  *out = strtol(text, &end, 10);
  if (*end == 0 && end != text && !errno && *out >= lo) return ERR_OK;
  return fault_set(fault, ERR_USAGE, "%s: %s %s: allowed: an integer of at least %ld",
                   call->command->name, name, text, lo);
}

/* -- help -------------------------------------------------------------------------- */

static void print_option(const QueryOption *option) {
  page_print_entry(option->name, option->value, 21, option->doc);
}

static void print_help(const QueryCommand *command) {
  out_print("usage: runner %s [options]%s%s\n\n", command->name,
            *command->usage ? " " : "", command->usage);
  page_print_wrapped(0, 0, "%s", command->doc);
  if (command->details) out_print("\n%s\n", command->details);
  if (command->print_more) command->print_more();
  out_print("\n");
  for (const QueryOption *o = command->options; o && o->name; o++) print_option(o);
  for (int i = 0; i < N_COMMON; i++)
    if (i != JSON || command->json) print_option(&common[i]);
}

Err query_command_run(const QueryCall *call, Fault *fault) {
  if (!call->help) return call->command->run(call, fault);
  print_help(call->command);
  return ERR_OK;
}
