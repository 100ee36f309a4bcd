/* main.c: the command line: options, the script, how the program ends. The only place
 * that exits. */
#include "base/environment.h"
#include "base/out.h"
#include "base/sys.h"
#include "base/version.h"
#include "cli/page.h"
#include "cli/prompt.h"
#include "cli/query_command.h"
#include "cli/study_command.h"
#include "kernel/gemm.h"
#include "lab/study.h"
#include "lab/terms.h"
#include "lua/interrupt.h"
#include "lua/lab.h"
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct CommandLine {
  int threads; /* 0: as the environment says */
  const char *runs;
  const char *code;   /* of -e */
  const char *script; /* path, or "-" */
  bool help, version; /* of the program */
  bool script_help;
  bool plan_dump;     /* the command of that name */
  bool interactive;   /* ends at the prompt, ... */
  bool terminal;      /* ... at a terminal; else with what is piped in */
  QueryCall query;    /* a command that needs no script; .command NULL: none */
  StudyOptions study; /* how experiment{} runs */
  const struct Command *command; /* that was given, of those that may need a script */
  bool worker, resume, explain;  /* those of that name; `explain` is help */
  const char *topic;             /* what to explain, beyond commands */
  int n_args;
  char **args; /* key=value words */
} CommandLine;

/* -- options: one table ------------------------------------------------------------ */

typedef struct Flag {
  const char *name, *value; /* value: what follows, in words; NULL: nothing */
  const char *doc;
  size_t at; /* of what it sets in CommandLine: a bool, the text that follows ... */
  long low, high; /* ... or, from low to high, an integer ... */
  Err (*set)(CommandLine *line, const char *value, Fault *fault); /* ... or this does */
} Flag;

static Err read_integer(const char *option, const char *value, long low, long high,
                        int *out, Fault *fault) {
  must(value);
  char *end;
  long n = strtol(value, &end, 10);
  if (*end || end == value || n < low || n > high)
    return fault_set(fault, ERR_USAGE, "%s %s: allowed: an integer from %ld to %ld",
                     option, value, low, high);
  *out = (int)n;
  return ERR_OK;
}

static Err set_runs(CommandLine *line, const char *value, Fault *fault) {
  if (!*value) return fault_set(fault, ERR_USAGE, "--runs: allowed: a directory");
  line->runs = value;
  return ERR_OK;
}

static Err set_code_choice(CommandLine *line, const char *value, Fault *fault) {
  if (strcmp(value, "rerun") == 0) line->study.code = CODE_RERUN;
  else if (strcmp(value, "keep") == 0) line->study.code = CODE_KEEP;
  else return fault_set(fault, ERR_USAGE, "--code %s: allowed: rerun, keep", value);
  return ERR_OK;
}

static Err set_sample(CommandLine *line, const char *value, Fault *fault) {
  line->study.sample = 0;
  if (strcmp(value, "all") == 0) return ERR_OK;
  return read_integer("--sample", value, 1, 1000000000, &line->study.sample, fault);
}

static Err set_format(CommandLine *line, const char *value, Fault *fault) {
  return doc_writer_named(value, &line->study.format, fault);
}

static Err set_help(CommandLine *line, const char *value, Fault *fault) {
  (void)value, (void)fault;
  if (line->script) line->script_help = true;
  else line->help = true;
  return ERR_OK;
}

#define AT(field) .at = offsetof(CommandLine, field)
static const Flag flags[] = {
    {"-e", "CODE", "run CODE instead of a script", AT(code)},
    {"-i", NULL, "then the prompt, or what is piped in, with the script's names",
     AT(interactive)},
    {"--threads", "N", "threads to use (default: OMP_NUM_THREADS, else the cores)",
     AT(threads), .low = 1, .high = 1024},
    {"--runs", "DIR", "where runs are recorded (default: runs)", .set = set_runs},
    {"--jobs", "N", "worker processes of an experiment (default: the cores)",
     AT(study.jobs), .low = 1, .high = 1024},
    {"--fail-fast", NULL, "the first trial that fails ends the experiment",
     AT(study.fail_fast)},
    {"--code", "HOW", "rerun or keep trials that earlier code made",
     .set = set_code_choice},
    {"--json", NULL, "what plan, verify and the queries say, as JSON",
     AT(study.json)},
    {"--format", "NAME", "plan's page as " DOC_FORMATS, .set = set_format},
    {"--long", NULL, "all tables and tests at the end of an experiment",
     AT(study.whole)},
    {"--sample", "N", "trials that verify runs again, or all (default: 3)",
     .set = set_sample},
    {"--version", NULL, "versions, kernel set, SIMD level and threads", AT(version)},
    {"--help", NULL, "this text; after a script: the script's arguments",
     .set = set_help},
    {0}};

static Err set_flag(const Flag *f, CommandLine *line, const char *value, Fault *fault) {
  void *at = (char *)line + f->at;
  if (f->set) return f->set(line, value, fault);
  if (f->high) return read_integer(f->name, value, f->low, f->high, at, fault);
  if (f->value) *(const char **)at = value;
  else *(bool *)at = true;
  return ERR_OK;
}

/* -- commands: the first word, unless it names a file with "./" -------------------- */

typedef struct Command {
  const char *name, *usage; /* usage: what follows the name */
  const char *needs;        /* which of that there must be, in words; NULL: nothing */
  const char *doc;          /* NULL: not listed */
  const char *flags;        /* those that its help lists, blanks between; NULL: none */
  size_t at;                /* of the bool that it sets in CommandLine; 0: ... */
  StudyMode mode;           /* ... how experiment{} runs */
} Command;

static const char a_script[] = "a script",
                  script_words[] = "script.lua [key=value ...]";
static const char run_flags[] = "-i --threads --runs --jobs --fail-fast --code --long";
static const Command commands[] = {
    {"plan-dump", script_words, a_script, "the stages of its first training step: "
                                          "graph, gradient, groups, memory",
                                          "--threads",
     AT(plan_dump)},
    {"run", script_words, a_script, "as without the word", run_flags,
     .mode = STUDY_RUN},
    {"plan", script_words, a_script, "the cells of its experiment, and what is left "
                                     "to run",
     "--runs --jobs --code --json --format", .mode = STUDY_PLAN},
    {"resume", "EXPERIMENT [key=value ...]", "the name of an experiment",
     "runs what is missing, as it was run last", run_flags, AT(resume)},
    {"verify", script_words, a_script, "are the records whole, and do some trials, "
                                       "run again, agree?", "--threads --runs --jobs "
                                                            "--sample --json",
     .mode = STUDY_VERIFY},
    {"help", "[WORD]", NULL, "this text, or that of a command, a name, as nn.Dense, "
                                 "or a word of a study's page, as Holm; terms: all of "
                                 "these", NULL,
     AT(explain)},
    {"worker", script_words, a_script, NULL, NULL, AT(worker)},  /* of studies */
    {0}};
#undef AT

static bool take_command(CommandLine *line, const char *word) {
  for (const Command *c = commands; c->name; c++) {
    if (strcmp(c->name, word) != 0) continue;
    line->command = c;
    if (c->at) *(bool *)((char *)line + c->at) = true;
    else line->study.mode = c->mode;
    return true;
  }
  return false;
}

static void print_flag(const Flag *flag) {
  page_print_entry(flag->name, flag->value, 19, flag->doc);
}

static void print_summary(const char *name, const char *usage, const char *doc) {
  enum { COLUMN = 40 };
  out_print("  %-9s %-*s ", name, COLUMN - 13, usage);
  page_print_wrapped(COLUMN, COLUMN, "%s", doc);
}

/* "RUNNER_SIMD=plain|avx2|avx512" */
static void print_variable(const EnvVariable *v) {
  Text usage = {0};
  text_addf(&usage, "%s=", v->name);
  for (int i = 0; v->values && v->values[i]; i++)
    text_addf(&usage, "%s%s", i ? "|" : "", v->values[i]);
  if (!v->values) text_add(&usage, "VALUE");
  page_print_entry(usage.data ? usage.data : v->name, NULL, 38, v->doc);
  text_deinit(&usage);
}

static const char about_words[] = "key=value sets an argument that the script "
                                  "declares; seed=N always works, but for an "
                                  "experiment, which takes seeds=N and "
                                  "factor=level,level.";

static void print_usage(void) {
  out_print(
      "usage: runner [options]              (the prompt; from a pipe: as with -)\n"
      "       runner [options] script.lua [key=value ...]\n"
      "       runner [options] -e CODE [key=value ...]\n"
      "       runner [options] -            (the script comes from stdin)\n\n"
      "Trains deep networks as a Lua script says.\n\n");
  for (const Flag *f = flags; f->name; f++) print_flag(f);
  out_print("\ncommands:\n");
  for (const Command *c = commands; c->name; c++)
    if (c->doc) print_summary(c->name, c->usage, c->doc);
  for (const QueryCommand *const *c = query_commands; *c; c++)
    print_summary((*c)->name, (*c)->usage, (*c)->doc);
  out_print("\nenvironment:\n");
  for (const EnvVariable *v = env_variables; v->name; v++) print_variable(v);
  out_print("\n");
  page_print_wrapped(0, 0, "%s", about_words);
  page_print_wrapped(0, 0,
                     "exit status: 0 all well, 1 the script or a trial failed, 2 "
                     "usage, 3 "
                     "interrupted, 4 storage");
}

static void print_command_help(const Command *command) {
  out_print("usage: runner %s [options] %s\n\n", command->name, command->usage);
  page_print_wrapped(0, 0, "%s", command->doc);
  out_print("\n");
  for (const Flag *f = flags; f->name; f++)
    if (text_has_word(command->flags, f->name)) print_flag(f);
  if (command->flags) out_print("\n");
  if (strstr(command->usage, "key=value")) page_print_wrapped(0, 0, "%s", about_words);
  out_print("runner --help lists all options.\n");
}

static Err take_flag(CommandLine *line, char **words, int n, int *at, Fault *fault) {
  char *word = words[*at], *equals = strchr(word, '=');
  size_t length = equals ? (size_t)(equals - word) : strlen(word);
  const char *names[32];
  int n_names = 0;
  for (const Flag *f = flags; f->name; f++) {
    names[n_names++] = f->name;
    if (strlen(f->name) != length || memcmp(f->name, word, length) != 0) continue;
    const char *value = equals ? equals + 1 : NULL;
    if (f->value && !value && ++*at < n) value = words[*at];
    if (f->value && !value)
      return fault_set(fault, ERR_USAGE, "%s: %s is missing", f->name, f->value);
    if (!f->value && value)
      return fault_set(fault, ERR_USAGE, "%s takes no value", f->name);
    return set_flag(f, line, value, fault);
  }
  const char *nearest = text_nearest(word, names, n_names);
  return fault_set(fault, ERR_USAGE,
                   nearest ? "unknown option %s; did you mean %s?"
                           : "unknown option %s; see runner --help",
                   word, nearest);
}

static Err parse(CommandLine *line, char **words, int n, Fault *fault) {
  bool flags_end = false, first = true;
  for (int i = 0; i < n; i++) {
    bool flag = !flags_end && words[i][0] == '-' && words[i][1];
    if (flag && strcmp(words[i], "--") == 0) flags_end = true;
    else if (flag) {
      if (take_flag(line, words, n, &i, fault)) return fault->code;
    } else if (first && take_command(line, words[i])) {
      first = false;
    } else if (first && (line->query.command = query_command_find(words[i]))) {
      line->query.runs = line->runs;
      line->query.threads = line->threads;
      line->query.json = line->study.json;
      return query_command_parse(&line->query, words + i + 1, n - i - 1, fault);
    } else if (!line->script && !line->code) {
      line->script = words[i];
    } else {
      line->args[line->n_args++] = words[i];
    }
    first = first && flag;
  }
  return ERR_OK;
}

static void print_version(int threads) {
  Par par;
  par_init(&par, threads);
  out_print("runner %s (%s), numerics %d\n%s\nBLIS %s, %s kernels\nSIMD %s\nthreads "
            "%d\n",
            RUNNER_VERSION, REAL_NAME, NUMERICS, LUA_RELEASE, gemm_version(),
            gemm_kernel_set(), simd_name(simd_level()), par.threads);
}

/* -- running ----------------------------------------------------------------------- */

enum { COMMANDS_MAX = 32 };

/* Those that are listed; their number. */
static int command_names(const char *names[COMMANDS_MAX]) {
  int n = 0;
  for (const Command *c = commands; c->name; c++)
    if (c->doc) names[n++] = c->name;
  for (const QueryCommand *const *c = query_commands; *c; c++) names[n++] = (*c)->name;
  return n;
}

/* A word that is no file may be an experiment, whose script was meant, or a command,
 * misspelt. */
static Err no_script(const CommandLine *line, Fault *fault) {
  int error = errno;
  const char *names[COMMANDS_MAX], *word = line->script;
  StudyRecall recall;
  Fault none = {0};
  if (line->resume && word[0] != '/')
    return fault_set(fault, ERR_USAGE,
                     "resume: %s: %s; the script is looked for from the current "
                     "directory, as it was when it ran",
                     word, strerror(error));
  if (!line->resume &&
      study_command_recall(&recall, line->runs, word, &none) == ERR_OK) {
    fault_set(fault, ERR_USAGE,
              "%s is an experiment; allowed: a script; it was run from %s", word,
              recall.script);
    study_command_recall_deinit(&recall);
    return fault->code;
  }
  const char *nearest = strpbrk(word, "./")
                            ? NULL
                            : text_nearest(word, names, command_names(names));
  if (nearest)
    return fault_set(fault, ERR_USAGE,
                     "%s: no such command or file; did you mean runner %s?", word,
                     nearest);
  return fault_set(fault, ERR_USAGE, "%s: %s", word, strerror(error));
}

/* Is the script there? */
static Err find_script(const CommandLine *line, Fault *fault) {
  struct stat status;
  if (line->code || !line->script || strcmp(line->script, "-") == 0) return ERR_OK;
  if (stat(line->script, &status)) return no_script(line, fault);
  if (S_ISDIR(status.st_mode))
    return fault_set(fault, ERR_USAGE, "%s is a directory; allowed: a Lua script",
                     line->script);
  return ERR_OK;
}

/* Leaves the compiled script on the stack. */
static Err load_script(lua_State *L, const CommandLine *line, Fault *fault) {
  int failed;
  if (line->code) failed = luaL_loadbuffer(L, line->code, strlen(line->code), "=-e");
  else if (strcmp(line->script, "-") == 0) failed = luaL_loadfile(L, NULL);
  else {
    look_beside_script(L, line->script);
    failed = luaL_loadfile(L, line->script);
  }
  return failed ? bind_fault_from_lua(L, fault) : ERR_OK;
}

/* Until its help is printed, at its end or by its experiment. A failure before that is
 * no reason to print nothing. */
static void run_for_help(lua_State *L) {
  Fault why = {0};
  if (lua_pcall(L, 0, 0, 0) == LUA_OK) return;
  if (session(L)->stopped || interrupt_pending()) lua_error(L);
  bind_fault_from_lua(L, &why);
  err_print("warning: the script failed; these may not be all its arguments: %s\n",
            why.text);
}

static int run_script(lua_State *L) {
  push_hook(L, "check_undeclared");
  lua_call(L, 0, 0);
  if (session(L)->launch.want_help) run_for_help(L);
  else lua_call(L, 0, 0);
  check_arguments(L);
  if (interrupt_pending()) { /* and the script caught the fault of it */
    lua_pushliteral(L, "interrupted");
    return bind_raise_text(L, ERR_INTERRUPT);
  }
  return 0;
}

/* One run, inside the team of threads. */
typedef struct Run {
  Session *session;
  const CommandLine *line;
  Err err;
} Run;

/* The script was stopped at its first step for its plan; or it made none. */
static void print_plan(Session *s, Fault *fault) {
  Text *dump = s->graph.dump;
  if (dump->n_bytes) fault_clear(fault);
  else
    fault_set(fault, ERR_VALUE,
              "plan-dump: the script makes no training step of a built net");
  out_write(dump->data ? dump->data : "", dump->n_bytes);
}

/* The script at the stack's top; the prompt that follows keeps its locals. */
static void call_script(lua_State *L, const CommandLine *line, Fault *fault) {
  if (line->interactive) prompt_keep_locals(L);
  lua_pushcfunction(L, run_script);
  lua_insert(L, -2);
  if (line->interactive) prompt_call(L, 1, fault);
  else bind_call_protected(L, 1, 0, fault);
  if (session(L)->stopped) fault_clear(fault);
}

/* Runs the script, or what the command asks of it; its record is closed also when it
 * fails, and a failure to do so counts if none did before. */
static Err run_whole(lua_State *L, const CommandLine *line) {
  Session *s = session(L);
  Fault fault = {0};
  bind_watch_interrupts(L, NULL);
  if (load_script(L, line, &fault) == ERR_OK) call_script(L, line, &fault);
  if (line->plan_dump) print_plan(s, &fault);
  else if (!fault.code && !s->stopped && line->study.mode != STUDY_RUN)
    fault_set(&fault, ERR_USAGE, "%s: the script has no experiment",
              line->script ? line->script : "-e");
  if (fault.code) {
    out_progress_end(true);
    err_print("runner: %s\n", fault.text);
  }
  Fault own = {0};
  Err storage = session_end_steps(L, &own);
  if (own.code) err_print("runner: %s\n", own.text);
  if (s->record->is_open)
    storage = run_record_end(&s->record->run, s->record->results, &fault);
  if (!fault.code && s->record->n_failed)
    fault.code = ERR_SCRIPT; /* which was printed */
  return fault.code ? fault.code : storage;
}

/* What is typed records nothing. */
static Err run_prompt(lua_State *L) {
  Fault fault = {0};
  session(L)->launch.script = NULL;
  Err err = prompt_run(L, &fault);
  if (fault.code) err_print("runner: %s\n", fault.text);
  return err;
}

/* What is piped in, as one script after the other, which may have failed. */
static Err run_piped(lua_State *L) {
  Fault fault = {0};
  session(L)->launch.script = NULL;
  session(L)->prompt.kept_chunk = NULL;
  if (luaL_loadfile(L, NULL)) bind_fault_from_lua(L, &fault);
  else {
    push_prompt_globals(L);
    lua_setupvalue(L, -2, 1);
    bind_call_protected(L, 0, 0, &fault);
  }
  if (session(L)->stopped) fault_clear(&fault);
  if (fault.code) err_print("runner: %s\n", fault.text);
  return fault.code;
}

/* The prompt's own end is the program's; of what is piped in the first failure
 * counts. */
static Err run_afterwards(lua_State *L, const CommandLine *line, Err before) {
  if (line->terminal) return run_prompt(L);
  if (before == ERR_INTERRUPT) return before;
  Err err = run_piped(L);
  return before ? before : err;
}

/* What the library says of a name, or that neither it nor a command is called so. */
static Err run_topic(lua_State *L, const char *topic) {
  const char *names[COMMANDS_MAX];
  int n = command_names(names);
  Fault fault = {0};
  push_hook(L, "tell_name");
  lua_pushstring(L, topic);
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_pushstring(L, names[i]);
    lua_rawseti(L, -2, i + 1);
  }
  bind_call_protected(L, 2, 0, &fault);
  if (fault.code) err_print("runner: %s\n", fault.text);
  return fault.code;
}

static Err run(Session *s, const CommandLine *line) {
  Fault fault = {0};
  lua_State *L = session_open(s, &fault);
  if (!L) {
    err_print("runner: %s\n", fault.text);
    return fault.code;
  }
  bool has_code = line->script || line->code, stopped = false;
  Err err = ERR_OK;
  if (line->topic) err = run_topic(L, line->topic);
  if (has_code) err = run_whole(L, line);
  stopped = s->stopped || err == ERR_USAGE;
  if (line->interactive && !stopped) err = run_afterwards(L, line, err);
  session_close(s, L);
  return err;
}

static void run_in_team(void *ctx) {
  Run *r = ctx;
  r->err = run(r->session, r->line);
}

/* Only a script in a file, run for its results, leaves a record. */
static bool records(const CommandLine *line) {
  return line->script && strcmp(line->script, "-") != 0 && !line->plan_dump;
}

/* Without a script: the prompt, where stdin is a terminal; else stdin is the script. */
static void choose_input(CommandLine *line) {
  line->terminal = terminal_columns(stdin) > 0;
  if (line->script || line->code) return;
  line->interactive = line->terminal;
  if (!line->terminal) line->script = "-";
}

static Err run_worker(const CommandLine *line, Fault *fault) {
  WorkerOptions options = {.runs = line->runs, .script = line->script,
                           .threads = line->threads, .words = line->args,
                           .n_words = line->n_args};
  interrupt_install();
  return worker_run(&options, fault);
}

static Err run_session(CommandLine *line, Fault *fault) {
  Session s = {.launch = {.runs = line->runs, .n_args = line->n_args,
                          .args = line->args, .want_help = line->script_help,
                          .code = line->code,
                          .script = records(line) ? line->script : NULL},
               .study = line->study};
  s.study.threads = line->threads;
  if (find_script(line, fault)) return fault->code;
  if (graph_open(&s.graph, line->threads, 1, fault)) return fault->code;
  Text dump = {0};
  if (line->plan_dump) s.graph.dump = &dump;
  interrupt_install();
  Run r = {&s, line, ERR_OK};
  par_team(&s.graph.par, run_in_team, &r);
  text_deinit(&dump);
  graph_close(&s.graph);
  return r.err;
}

/* Is the same key among the words given now? */
static bool is_given(const CommandLine *line, const char *word) {
  size_t n = strcspn(word, "=");
  for (int i = 0; i < line->n_args; i++)
    if (strncmp(line->args[i], word, n) == 0 && line->args[i][n] == '=') return true;
  return false;
}

/* The script and words of an experiment that was run before; a word given now replaces
 * the one of its key. */
static Err run_resumed(CommandLine *line, Fault *fault) {
  StudyRecall recall;
  if (!line->script) /* but -e */
    return fault_set(fault, ERR_USAGE, "resume: allowed: the name of an experiment");
  if (study_command_recall(&recall, line->runs, line->script, fault))
    return fault->code;
  if (study_command_check_script(&recall, line->runs, line->script, fault)) {
    study_command_recall_deinit(&recall);
    return fault->code;
  }
  CommandLine again = *line;
  again.script = recall.script;
  again.args = calloc((size_t)(line->n_args + recall.n_words) + 1, sizeof *again.args);
  again.n_args = 0;
  for (int i = 0; again.args && i < recall.n_words; i++)
    if (!is_given(line, recall.words[i])) again.args[again.n_args++] = recall.words[i];
  for (int i = 0; again.args && i < line->n_args; i++)
    again.args[again.n_args++] = line->args[i];
  Err err = again.args ? run_session(&again, fault) : fault_memory(fault, 0);
  free(again.args);
  study_command_recall_deinit(&recall);
  return err;
}

/* `help`: the usage, that of a command, or what the library says of a name. */
static Err run_explain(CommandLine *line, Fault *fault) {
  const char *word = line->script;
  if (line->n_args || line->code)
    return fault_set(fault, ERR_USAGE,
                     "help: allowed: one word: a command, a name or a term");
  if (!word) {
    print_usage();
    return ERR_OK;
  }
  for (const Command *c = commands; c->name; c++) {
    if (!c->doc || strcmp(c->name, word) != 0) continue;
    print_command_help(c);
    return ERR_OK;
  }
  line->query = (QueryCall){.command = query_command_find(word), .help = true};
  if (line->query.command) return query_command_run(&line->query, fault);
  const Term *term = term_find(word);
  if (term || strcmp(word, "terms") == 0) {
    Doc doc = {0};
    if (term) term_doc(term, &doc);
    else terms_doc(&doc);
    if (doc_print(&doc, NULL, fault) || !term || !term->in_library) return fault->code;
    out_print("\n");
  }
  line->topic = word;
  line->script = NULL;
  return run_session(line, fault);
}

static Err run_program(CommandLine *line, int argc, char **argv, Fault *fault) {
  if (env_check(fault) || parse(line, argv + 1, argc - 1, fault)) return fault->code;
  const Command *command = line->command;
  if (line->help) {
    if (command && command->doc && !line->explain) print_command_help(command);
    else print_usage();
    return ERR_OK;
  }
  if (line->query.command) return query_command_run(&line->query, fault);
  if (line->study.json && line->study.mode == STUDY_RUN)
    return fault_set(fault, ERR_USAGE,
                     "--json: allowed with plan, verify and the queries");
  if (line->study.format && line->study.mode != STUDY_PLAN)
    return fault_set(fault, ERR_USAGE, "--format: allowed with plan and the queries");
  if (gemm_init(fault)) return fault->code;
  if (line->version) {
    print_version(line->threads);
    return ERR_OK;
  }
  if (line->explain) return run_explain(line, fault);
  if (command && !line->script && !line->code)
    return fault_set(fault, ERR_USAGE, "%s: %s is missing: runner %s %s", command->name,
                     command->needs, command->name, command->usage);
  if (!command) choose_input(line);
  if (line->worker) return run_worker(line, fault);
  return line->resume ? run_resumed(line, fault) : run_session(line, fault);
}

int main(int argc, char **argv) {
  env_fill_descriptors();
  Fault fault = {0};
  CommandLine line = {.runs = "runs", .study.sample = 3,
                      .args = calloc((size_t)argc + 1, sizeof(char *))};
  Err err = line.args ? run_program(&line, argc, argv, &fault)
                      : fault_memory(&fault, 0);
  if (fault.code) err_print("runner: %s\n", fault.text);
  free(line.args);
  fault_clear(&fault);
  if (out_flush(&fault) && !err) {
    err_print("runner: %s\n", fault.text);
    err = fault.code;
  }
  return err_exit_status(err);
}
