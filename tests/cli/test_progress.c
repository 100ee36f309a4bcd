/* What a person sees of a fit, on a terminal and elsewhere. */
#include "terminal.h"

static const char fit[] = "local set = data.moons { n = 64 }\n"
                          "train.fit(nn.Dense(2), set, { loss = 'cross_entropy', "
                          "epochs = 5, validation = 0.25,\n"
                          "  verbose = %s })\n"
                          "print('done')\n";

static void write_fit(const char *verbose) {
  char code[1024];
  int n = snprintf(code, sizeof code, fit, verbose);
  temp_file("fit.lua", code, (size_t)n);
}

/* What the terminal has shown of the fit, drawn over or not. The caller frees it. */
static char *run_fit(const char *verbose) {
  write_fit(verbose);
  Terminal t = terminal_open(100, (const char *[]){"fit.lua", NULL});
  terminal_expect(&t, "done\n");
  char *seen = text_copy(t.seen.data);
  assert_non_null(seen);
  terminal_end(&t, 0);
  *strstr(seen, "done\n") = 0;
  return seen;
}

static int count(const char *text, const char *part) {
  int n = 0;
  for (; (text = strstr(text, part)); text += strlen(part)) n++;
  return n;
}

/* The last line of a fit stays; the others were drawn over. */
TEST(a_fit_on_a_terminal_is_one_line) {
  char *seen = run_fit("true");
  assert_int_equal(count(seen, "\n"), 2);
  assert_non_null(strstr(seen, "iterations per epoch of 32\n"));
  assert_non_null(strstr(seen, "epoch 5/5  loss "));
  assert_null(strstr(seen, "epoch 4/5  loss "));
  free(seen);
}

TEST(every_nth_epoch_and_the_last_have_a_line) {
  char *seen = run_fit("2");
  assert_int_equal(count(seen, "\n"), 4);
  for (int epoch = 1; epoch <= 5; epoch++) {
    char line[32];
    snprintf(line, sizeof line, "epoch %d/5  loss ", epoch);
    assert_int_equal(count(seen, line), epoch % 2 == 0 || epoch == 5);
  }
  free(seen);
}

TEST(no_epoch_has_a_line_when_none_is_wanted) {
  char *seen = run_fit("0");
  assert_string_equal(seen, "");
  free(seen);
}

/* `h = train.fit(...)` is not assigned when it is stopped: what there is instead is
 * said. */
TEST(a_training_that_is_stopped_says_what_is_kept) {
  Terminal t = terminal_open(100, NULL);
  terminal_expect(&t, "> ");
  terminal_line(&t, "net = nn.Dense(2)", NULL);
  terminal_type(&t,
                "h = train.fit(net, data.moons { n = 64 }, { loss = 'cross_entropy', "
                "epochs = 1000000, verbose = false, callbacks = { function(e) if "
                "e.epoch == 3 then print 'runs' end end } })\r");
  terminal_expect(&t, "\nruns\n");
  terminal_type(&t, "\3");
  terminal_expect(&t,
                  "of 1000000: the weights are kept, train.history() has the curve\n");
  terminal_expect(&t, "interrupted\n> ");
  terminal_line(&t, "#train.history().loss >= 3", "true");
  terminal_line(&t, "net.weight.shape", "{ 2, 2 }");
  terminal_type(&t, "\4");
  terminal_end(&t, 0);
}

/* What a script prints does not depend on what it is printed on. */
TEST(a_script_prints_the_same_on_every_terminal) {
  static const char code[] = "local t = {} for i = 1, 12 do t[i] = ('x'):rep(6) end "
                             "print(t)\n"
                             "print(tensor.zeros(2, 30), nn.Sequential { nn.Dense(1) "
                             "}, print == 3)\n";
  char *first = NULL;
  temp_file("print.lua", code, sizeof code - 1);
  for (int columns = 40; columns <= 240; columns += 200) {
    Terminal t = terminal_open(columns, (const char *[]){"print.lua", NULL});
    terminal_expect(&t, "false\n");
    if (first) assert_string_equal(t.seen.data, first);
    else first = text_copy(t.seen.data);
    terminal_end(&t, 0);
  }
  assert_non_null(first);
  assert_non_null(strstr(first, "\"xxxxxx\",\n"));
  free(first);
}
