/* The prompt through a pseudo-terminal: what a person types and sees. */
#include "terminal.h"

static Terminal open_prompt(int columns) {
  Terminal t = terminal_open(columns, NULL);
  terminal_expect(&t, "Ctrl-D ends\n");
  terminal_expect(&t, "> ");
  return t;
}

static void quit(Terminal *t) {
  terminal_type(t, "\4");
  terminal_end(t, 0);
}

/* -- statements -------------------------------------------------------------------- */

TEST(values_are_shown_and_the_last_one_is_kept) {
  Terminal t = open_prompt(80);
  terminal_line(&t, "1 + 1", "2");
  terminal_line(&t, "_ * 21", "42");
  terminal_line(&t, "'a\\tb', nil, false", "a\tb\nnil\nfalse");
  terminal_line(&t, "print('said')", "said");
  terminal_line(&t, "7;", NULL);
  terminal_line(&t, "_", "7");
  terminal_line(&t, "tensor { { 1, 2 }, { 3, 4 } }", "tensor 2x2 real\n  1  2\n  3  4");
  terminal_line(&t, "{ b = 1, a = { 2, 'x' }, 5 }", "{ 5, a = { 2, \"x\" }, b = 1 }");
  terminal_line(&t, "loop = {}; loop.x = loop; loop = loop", NULL);
  terminal_line(&t, "loop", "{ x = { itself } }");
  terminal_line(&t, "train.fit", "function train.fit(net, set, { options })");
  quit(&t);
}

TEST(globals_and_locals_live_on) {
  Terminal t = open_prompt(80);
  terminal_line(&t, "count = 1", NULL);
  terminal_line(&t, "function more() count = count + 1 end", NULL);
  terminal_line(&t, "more() more() print('count ' .. count)", "count 3");
  terminal_line(&t, "local a, b = 4, 5 do local hidden = 6 end", NULL);
  terminal_line(&t, "a .. ':' .. b", "4:5");
  terminal_line(&t, "hidden", "undeclared global \"hidden\"");
  terminal_line(&t, "local kept = 8 error 'later'", "later");
  terminal_line(&t, "kept", "8");
  terminal_line(&t, "kpt", "did you mean \"kept\"?");
  terminal_line(&t, "nn = 1", "\"nn\" is the library's");
  quit(&t);
}

TEST(a_statement_may_have_several_lines) {
  Terminal t = open_prompt(80);
  terminal_type(&t, "function twice(x)\r");
  terminal_expect(&t, "\n>> ");
  terminal_type(&t, "return 2 * x\r");
  terminal_expect(&t, "\n>> ");
  terminal_line(&t, "end", NULL);
  terminal_type(&t, "twice(\r");
  terminal_expect(&t, "\n>> ");
  terminal_line(&t, "21)", "42");
  terminal_type(&t, "given_up = {\r");
  terminal_expect(&t, "\n>> ");
  terminal_type(&t, "\4");
  terminal_expect(&t, "\n> ");
  quit(&t);
}

TEST(exit_and_quit_end_with_and_without_a_call) {
  static const char *const words[] = {"exit", "quit", "exit()", "quit()"};
  for (int i = 0; i < 4; i++) {
    Terminal t = open_prompt(80);
    terminal_type(&t, words[i]);
    terminal_type(&t, "\r");
    terminal_end(&t, 0);
  }
}

/* -- errors ------------------------------------------------------------------------ */

TEST(an_error_is_told_and_the_session_goes_on) {
  Terminal t = open_prompt(80);
  terminal_line(&t, "x = = 1", "unexpected symbol near '='");
  terminal_line(&t, "nn.Dense(3, { actvation = 'relu' })",
                "did you mean \"activation\"?");
  terminal_line(&t,
                "net = nn.Sequential { nn.Dense(300), nn.Dense(10) }; net:build { 784 "
                "}",
                NULL);
  terminal_line(&t, "function f(x) local y = net(x) return y end", NULL);
  terminal_line(&t, "f(tensor.zeros(32, 100))",
                "dense_1: expects [N, 784], got 32x100\nstack traceback:\n"
                "\tprompt:1: in function 'f'");
  terminal_line(&t, "#f(tensor.zeros(32, 784))", "32");
  terminal_type(&t, "error 'why'\r"); /* the raising function is no news */
  terminal_expect(&t, "prompt:1: why\n> ");
  terminal_line(&t, "error({})", NULL);
  terminal_line(&t, "tensro", "did you mean \"tensor\"?");
  quit(&t);
}

/* The next line can end a long string, a comment or what a backslash joins; no other
 * string. */
TEST(a_string_that_cannot_go_on_is_told_at_once) {
  Terminal t = open_prompt(80);
  terminal_line(&t, "print \"a", "unfinished string near '\"a'");
  terminal_line(&t, "x = 'b", "unfinished string near ''b'");
  terminal_line(&t, "1 + 2", "3");
  terminal_type(&t, "print [[a\r");
  terminal_expect(&t, "\n>> ");
  terminal_line(&t, "b]]", "a\nb");
  terminal_type(&t, "print 'c\\\r");
  terminal_expect(&t, "\n>> ");
  terminal_line(&t, "d'", "c\nd");
  terminal_type(&t, "print 'e\\z\r");
  terminal_expect(&t, "\n>> ");
  terminal_line(&t, "  f'", "ef");
  quit(&t);
}

/* -- Ctrl-C ------------------------------------------------------------------------ */

/* Presses Ctrl-C once the statement says that it runs. */
static void interrupt_statement(Terminal *t, const char *statement) {
  terminal_type(t, statement);
  terminal_type(t, "\r");
  terminal_expect(t, "\nruns\n");
  terminal_type(t, "\3");
  terminal_expect(t, "interrupted\n");
  terminal_expect(t, "> ");
}

TEST(ctrl_c_ends_the_statement_and_keeps_the_session) {
  Terminal t = open_prompt(80);
  terminal_line(&t, "mark = 12", NULL);
  interrupt_statement(&t, "print 'runs' while true do end");
  terminal_line(&t, "mark", "12");
  terminal_line(&t, "tensor { 1, 2 }:sum()", "3");
  interrupt_statement(&t, "local a = tensor.ones(300, 300) print 'runs' "
                          "while true do local b = a:matmul(a):eval() end");
  terminal_line(&t, "a:matmul(a):mean()", "300");
  interrupt_statement(&t, "print 'runs' tensor.ones(4000, 9000):matmul("
                          "tensor.ones(9000, 4000)):eval()");
  terminal_line(&t, "mark + 1", "13");
  interrupt_statement(&t, "print 'runs' pcall(function() while true do end end)"
                          " while true do end");
  terminal_line(&t, "mark + 2", "14");
  quit(&t);
}

TEST(ctrl_c_ends_a_training_and_keeps_what_was_learned) {
  Terminal t = open_prompt(80);
  terminal_line(&t,
                "net = nn.Sequential { nn.Dense(8, { activation = 'tanh' }), "
                "nn.Dense(2) }",
                NULL);
  terminal_line(&t, "set = data.moons { n = 64 }", NULL);
  interrupt_statement(&t, "local learnt = 0 train.fit(net, set, { epochs = 1000000, "
                          "verbose = false, loss = 'sparse_categorical_crossentropy', "
                          "callbacks = { function(epoch) learnt = learnt + 1 if learnt "
                          "== 2 then print 'runs' end end } })");
  terminal_line(&t, "#train.history().loss >= 2, train.history().loss[1] > 0",
                "true\ntrue");
  terminal_line(&t,
                "train.history().loss[#train.history().loss] < train.history().loss[1]",
                "true");
  terminal_line(&t, "net:evaluate(set).accuracy > 0", "true");
  terminal_line(&t,
                "again = train.fit(net, set, { epochs = 2, verbose = false, loss = "
                "'sparse_categorical_crossentropy' }); #again.loss",
                NULL);
  quit(&t);
}

TEST(ctrl_c_at_the_prompt_drops_the_line) {
  Terminal t = open_prompt(80);
  terminal_type(&t, "print 'never'\3");
  terminal_expect(&t, "^C\n> ");
  terminal_type(&t, "unfinished = {\r");
  terminal_expect(&t, "\n>> ");
  terminal_type(&t, "1, 2\3");
  terminal_expect(&t, "^C\n> ");
  terminal_line(&t, "3 * 5", "15");
  quit(&t);
}

TEST(sigterm_ends_the_session_in_order) {
  Terminal t = open_prompt(80);
  kill(t.pid, SIGTERM);
  terminal_end(&t, 3);
  t = open_prompt(80);
  terminal_type(&t, "print 'runs' while true do end\r");
  terminal_expect(&t, "\nruns\n");
  kill(t.pid, SIGTERM);
  terminal_expect(&t, "interrupted\n");
  terminal_end(&t, 3);
}

/* -- editing, history, completion -------------------------------------------------- */

#ifdef HAVE_LIBEDIT

TEST(keys_edit_the_line) {
  Terminal t = open_prompt(80);
  terminal_line(&t, "'ac'\033[D\033[Db", "abc"); /* left, left, insert */
  terminal_line(&t, "23\0011\005 + 1", "124");   /* home, end */
  terminal_line(&t, "12\033[H\033[3~", "2");     /* home, delete */
  terminal_line(&t, "nonsense\0251 + 2", "3");   /* delete the line */
  terminal_line(&t, "4 + 45\177", "8");          /* backspace */
  quit(&t);
}

TEST(history_is_recalled_and_kept_in_a_file) {
  Terminal t = open_prompt(80);
  terminal_line(&t, "'first' .. 1", "first1");
  terminal_line(&t, "'second' .. 2", "second2");
  terminal_line(&t, "\033[A\033[A", "first1");
  terminal_type(&t, "\022"); /* Ctrl-R, then what it finds */
  terminal_expect(&t, "bck:");
  terminal_line(&t, "ond\033", "second2");
  terminal_type(&t, "('several'\r");
  terminal_expect(&t, "\n>> ");
  terminal_line(&t, "..'\\\\')", "several\\");
  quit(&t);
  t = open_prompt(80);
  terminal_line(&t, "\033[A", "several\\");
  terminal_line(&t, "\033[A\033[A", NULL);
  quit(&t);
  char *text = temp_read(temp_path("home/runner/history"), NULL);
  assert_non_null(text);
  assert_non_null(strstr(text, "'second' .. 2\n"));
  assert_non_null(strstr(text, "('several'\\n..'\\\\\\\\')\n"));
  free(text);
}

/* The text, Tab, and what that adds. */
static void complete(Terminal *t, const char *text, const char *added) {
  terminal_type(t, text);
  terminal_expect(t, text);
  terminal_type(t, "\t");
  terminal_expect(t, added);
}

/* The text, then Tab, which adds nothing and rings the bell. */
static void leave(Terminal *t, const char *text) {
  terminal_type(t, text);
  terminal_expect(t, text);
  terminal_type(t, "\t");
  assert_true(terminal_wait(t, POLLIN));
}

/* Ctrl-C, then the prompt after it: what Tab listed was followed by one, too. */
static void drop_line(Terminal *t) {
  terminal_type(t, "\3");
  terminal_expect(t, "^C");
  terminal_expect(t, "\n> ");
}

TEST(tab_completes_what_it_knows) {
  Terminal t = open_prompt(80);
  temp_file("digits.csv", "1", 1);
  complete(&t, "tensor.aran", "ge");
  terminal_line(&t, "(3):sum()", "6");
  terminal_line(&t, "my_number = 31", NULL);
  complete(&t, "my_", "number");
  terminal_line(&t, " + 1", "32");
  terminal_line(&t, "my = { inner = { deep = 33 } }", NULL);
  complete(&t, "my.inn", "er");
  complete(&t, ".de", "ep");
  terminal_line(&t, "", "33");
  complete(&t, "nn.Dense(3, { activa", "tion = ");
  complete(&t, "'re", "lu");
  terminal_line(&t, "' }).activation", "nn.relu");
  complete(&t, "optim.SGD { mom", "entum = ");
  terminal_line(&t, "0.5 }.momentum", "0.5");
  complete(&t, "'dig", "its.csv");
  terminal_line(&t, "'", "digits.csv");
  complete(&t, "whi", "le");
  terminal_line(&t, " false do end", NULL);
  terminal_line(&t, "net = nn.Sequential { nn.Dense(2) }", NULL);
  complete(&t, "#net:param", "eters");
  terminal_line(&t, "()", "2");
  leave(&t, "({ whi = 5 }).whi"); /* of which nothing is known */
  terminal_line(&t, " + 30", "35");
  complete(&t, "tensor.on", "e");
  terminal_type(&t, "\t");
  terminal_expect(&t, "one_hot  ones");
  drop_line(&t);
  complete(&t, "nn.Dropout { ", "input_shape = ");
  drop_line(&t);
  quit(&t);
}

#endif

/* -- help -------------------------------------------------------------------------- */

TEST(help_tells_of_things_names_and_words) {
  Terminal t = open_prompt(100);
  terminal_line(&t, "help", "apropos \"norm\"");
  terminal_line(&t, "help()", "Modules");
  terminal_line(&t, "help(nn.Dense)", "nn.Dense(units, { options })");
  terminal_line(&t, "help 'init'", "init.he_normal");
  terminal_line(&t, "help 'kaiming_normal'", "w ~ N(0, gain^2 2 / fan_in)");
  terminal_line(&t, "help 'rellu'", "did you mean \"relu\"?");
  terminal_line(&t, "apropos 'norm'", "nn.BatchNorm");
  terminal_line(&t, "help(nn.Dense(3))", "net:summary");
  terminal_line(&t, "help(tensor { 1 })", "t:item");
  quit(&t);
}

/* -- sizes ------------------------------------------------------------------------- */

TEST(large_values_are_summarised) {
  Terminal t = open_prompt(80);
  terminal_line(&t, "tensor.full(2, 1000, 1000)",
                "tensor 1000x1000 real  min 2  mean 2  max 2\n  2  2  2  ...  2  2  "
                "2\n");
  terminal_line(&t, "tensor.arange(2000):totable()",
                "{ 1.0, 2.0, 3.0, ..., 1998.0, 1999.0, 2000.0 } (2000)");
  terminal_line(&t, "{ x = tensor.zeros(3, 4) }", "{ x = tensor 3x4 real }");
  terminal_line(&t, "big = {} for i = 1, 100 do big['k' .. i] = { i } end", NULL);
  terminal_line(&t, "big", "... 76 more");
  quit(&t);
}

TEST(a_narrow_terminal_is_kept_to) {
  Terminal t = open_prompt(24);
  terminal_line(&t, "'a line that is wider than' .. ' the terminal'",
                "a line that is wider than the terminal");
  terminal_line(&t, "{ alpha = 111111, beta = 222222 }",
                "{\n  alpha = 111111,\n  beta = 222222\n}");
  terminal_line(&t, "tensor.ones(2, 40)", "...");
  struct winsize size = {.ws_row = 24, .ws_col = 60};
  ioctl(t.fd, TIOCSWINSZ, &size);
  terminal_line(&t, "{ alpha = 111111, beta = 222222 }",
                "{ alpha = 111111, beta = 222222 }");
  quit(&t);
}

TEST(text_is_utf8) {
  Terminal t = open_prompt(80);
  terminal_line(&t, "'größe ∂x 漢字'", "größe ∂x 漢字");
#ifdef HAVE_LIBEDIT
  terminal_line(&t, "'grüß'\033[D\177", "grü"); /* backspace takes a whole character */
#endif
  terminal_line(&t, "{ 'é', '\\255\\n' }", "{ \"é\", \"\\xFF\\n\" }");
  quit(&t);
}

TEST(ten_thousand_lines_may_be_pasted) {
  enum { LINES = 10000 };
  Terminal t = open_prompt(80);
  terminal_line(&t, "sum = 0", NULL);
  Text paste = {0};
  for (int i = 1; i <= LINES; i++) text_addf(&paste, "sum = sum + %d\r", i);
  terminal_type(&t, paste.data);
  text_deinit(&paste);
  terminal_line(&t, "print('sum is ' .. sum)", "sum is 50005000");
  quit(&t);
}

/* -- the README -------------------------------------------------------------------- */

/* The indented block of README.md that begins with this line, without the
 * indentation. */
static void read_block(const char *first, Text *out) {
  char *text = temp_read("README.md", NULL), *line = text ? strstr(text, first) : NULL;
  assert_non_null(line);
  for (char *end; strncmp(line, "    ", 4) == 0 && (end = strchr(line, '\n'));
       line = end + 1)
    text_add_bytes(out, line + 4, (size_t)(end + 1 - line - 4));
  free(text);
}

TEST(the_transcript_in_the_readme_is_what_happens) {
  Text block = {0};
  char here[4096];
  read_block("    $ runner\n    > ", &block);
  assert_non_null(getcwd(here, sizeof here - 16));
  strcat(here, "/experiments");
  assert_int_equal(symlink(here, temp_path("experiments")), 0);
  char *session = strchr(block.data, '\n') + 1;
  Terminal t = open_prompt(120);
  size_t begin = t.at - strlen("> ");
  for (char *line = session; *line; line = strchr(line, '\n') + 1) {
    if (strncmp(line, "> ", 2) != 0) continue;
    char *typed = strndup(line + 2, strcspn(line + 2, "\n"));
    terminal_line(&t, typed, NULL);
    free(typed);
  }
  text_add(&block, "> ");
  session = strchr(block.data, '\n') + 1;
  text_add_bytes(&t.seen, "", 1);
  assert_string_equal(t.seen.data + begin, session);
  quit(&t);
  text_deinit(&block);
}

/* -- without a terminal; after a script -------------------------------------------- */

/* The status of a shell's command, with $RUNNER in it; its output in the file "out". */
static int shell(const char *command) {
  Text whole = {0};
  text_addf(&whole, "cd '%s' && { %s; } >out 2>&1", temp_root, command);
  int status = system(whole.data);
  text_deinit(&whole);
  return WEXITSTATUS(status);
}

static void assert_output(const char *wanted) {
  char *text = temp_read(temp_path("out"), NULL);
  assert_non_null(text);
  assert_string_equal(text, wanted);
  free(text);
}

TEST(from_a_pipe_there_is_no_prompt_and_errors_fail) {
  temp_path("");
  assert_int_equal(shell("printf 'local x = 2\\nprint(x * 3)\\n' | \"$RUNNER\""), 0);
  assert_output("6\n");
  assert_int_equal(shell("printf 'print(1)\\nerror(\"bad\", 0)\\n' | \"$RUNNER\""), 1);
  char *text = temp_read(temp_path("out"), NULL);
  assert_non_null(strstr(text, "1\nrunner: bad"));
  assert_null(strstr(text, "> "));
  assert_null(strstr(text, "\033"));
  free(text);
  assert_int_equal(shell("printf 'x = 1\\n' | \"$RUNNER\" -i"), 1);
}

/* It is no terminal: it runs as one script, with the names of the other. */
TEST(dash_i_runs_what_is_piped_in) {
  temp_path("");
  assert_int_equal(shell("echo 'print(99, x)' | \"$RUNNER\" -i -e 'local x = 5 "
                         "print(7)'"),
                   0);
  assert_output("7\n99\t5\n");
  assert_int_equal(shell("echo 'x = = 1' | \"$RUNNER\" -i -e 'print(7)'"), 1);
  assert_output("7\nrunner: stdin:1: unexpected symbol near '='\n");
  assert_int_equal(shell("echo 'print(8)' | \"$RUNNER\" -i -e 'x = = 1'"), 1);
  assert_output("runner: -e:1: unexpected symbol near '='\n8\n");
  assert_int_equal(shell("\"$RUNNER\" -i -e 'print(7)' </dev/null"), 0);
  assert_output("7\n");
}

TEST(dash_i_ends_at_the_prompt_with_the_scripts_names) {
  static const char code[] = "local net = nn.Dense(3)\nlocal answer = 42\n"
                             "rawset(_G, 'shared', 7)\nprint 'script'\n";
  static const char bad[] = "local before = 5\nerror 'in the script'\n";
  temp_file("script.lua", code, sizeof code - 1);
  temp_file("bad.lua", bad, sizeof bad - 1);
  Terminal t = terminal_open(80, (const char *[]){"-i", "script.lua", NULL});
  terminal_expect(&t, "script\n");
  terminal_expect(&t, "\n> ");
  terminal_line(&t, "answer + shared", "49");
  terminal_line(&t, "net.units", "3");
  quit(&t);
  t = terminal_open(80, (const char *[]){"-i", "bad.lua", NULL});
  terminal_expect(&t, "in the script");
  terminal_expect(&t, "\n> ");
  terminal_line(&t, "before", "5");
  quit(&t);
}

TEST(an_interrupted_script_leaves_its_net_at_the_prompt) {
  static const char code[] = "local net = nn.Sequential { nn.Dense(4), nn.Dense(2) }\n"
                             "train.fit(net, data.moons { n = 64 }, { epochs = "
                             "1000000, verbose = false,\n"
                             "  loss = 'sparse_categorical_crossentropy',\n"
                             "  callbacks = { function(e) if e.epoch == 2 then print "
                             "'runs' end end } })\n";
  temp_file("long.lua", code, sizeof code - 1);
  Terminal t = terminal_open(80, (const char *[]){"-i", "long.lua", NULL});
  terminal_expect(&t, "runs\n");
  terminal_type(&t, "\3");
  terminal_expect(&t, "interrupted");
  terminal_expect(&t, "record: runs/long/");
  terminal_expect(&t, "\n> ");
  terminal_line(&t, "net(tensor.ones(1, 2)).shape[2]", "2");
  quit(&t);
}
