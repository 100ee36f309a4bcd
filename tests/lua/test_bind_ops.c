/* Attributes of ops from Lua: lists of integers, of any length and any number of them,
 * in order or by name, with an op made for this. */
#include "graph/words.h"
#include "lua/tensor_private.h"
#include "test.h"

/* "{" what the chunk gives, numbers separated by blanks, or its error without the
 * script's place. */
static void check_gives(lua_State *L, const char *chunk, const char *want) {
  static const char head[] = "local function f(...) local t = words(tensor{1}, ...) "
                             "local v = {} for i = 1, t.shape[1] do "
                             "v[i] = ('%g'):format(t[i]:item()) end "
                             "return table.concat(v, ' ') end ";
  lua_pushfstring(L, "%s local ok, s = pcall(function() return %s end) return s", head,
                  chunk);
  if (luaL_loadbuffer(L, lua_tostring(L, -1), lua_rawlen(L, -1), "=s") ||
      lua_pcall(L, 0, 1, 0))
    fail_msg("%s", lua_tostring(L, -1));
  const char *got = lua_tostring(L, -1);
  if (got && strncmp(got, "s:1: ", 5) == 0) got += 5;
  if (!got || strcmp(got, want) != 0)
    fail_msg("%s\n gave \"%s\"\n not \"%s\"", chunk, got, want);
  lua_settop(L, 0);
}

#define REST "0 0 0 0 0 0 0 0 0 0 0 0"

static const struct { const char *chunk, *want; } calls[] = {
    {"f()", "0 2 3 -4 2 1 1 1 5 0.5 " REST},
    {"f({}, 7)", "0 1 7 2 1 1 1 5 0.5 " REST},
    {"f({1, 2}, {3})", "2 1 2 1 3 2 1 1 1 5 0.5 " REST},
    {"f({1}, {2, 3})", "1 1 2 2 3 2 1 1 1 5 0.5 " REST},
    {"f(9, nil, 2)", "1 9 2 3 -4 2 2 2 1 5 0.5 " REST},
    {"f(nil, {-1}, {2, 3}, {4, 5, 6}, 0.25, 1)",
     "0 1 -1 2 2 3 3 4 5 6 0.25 1 0 0 0 0 0 0 0 0 0 0 0"},
    {"f{ l = 9, one = { 1, 2.0 }, a = 8 }",
     "2 1 2 2 3 -4 2 1 1 1 5 0.5 8 0 0 0 0 0 0 0 0 0 0 9"},
    {"f({ 4 }, { l = 3, pair = 6 })",
     "1 4 2 3 -4 2 6 6 1 5 0.5 0 0 0 0 0 0 0 0 0 0 0 3"},
    /* lists that are not plain tables, and a call within a call */
    {"f{ one = setmetatable({}, { __len = function() return 2 end, "
     "__index = function(_, k) return words(tensor{1}, {k, k, k})[1]:item() end }) }",
     "2 3 3 2 3 -4 2 1 1 1 5 0.5 " REST},
    {"(function() local v = {} for i = 1, 5000 do v[i] = i end "
     "local t = words(tensor{1}, v, v) return ('%g %g %g %g'):format(t.shape[1], "
     "t[2]:item(), t[5001]:item(), t[10002]:item()) end)()",
     "10020 1 5000 5000"},
    /* what is refused */
    {"f{ pair = { 1, 2, 3 } }",
     "words: \"pair\": got 3 values, allowed: 2 whole numbers, or one for both, from 1 "
     "to 9"},
    {"f{ pair = { 1, 10 } }",
     "words: \"pair\": got 10, allowed: 2 whole numbers, or one for both, from 1 to 9"},
    {"f{ few = {} }",
     "words: \"few\": got 0 values, allowed: a list of 1 to 3 whole numbers"},
    {"f{ one = { 1, 2.5 } }",
     "words: \"one\": got 2.5, allowed: a list of whole numbers"},
    {"f{ one = 'many' }",
     "words: \"one\": got \"many\", allowed: a list of whole numbers"},
    {"f{ one = { 1, {} } }",
     "words: \"one\": got a table, allowed: a list of whole numbers"},
    {"f{ one = setmetatable({}, { __len = function() return 1 << 40 end }) }",
     "words: \"one\": got 1099511627776 values, allowed: at most 65536"},
    {"f{ one = setmetatable({}, { __len = function() return -1 end }) }",
     "words: \"one\": got -1 values, allowed: at most 65536"},
    {"f{ one = setmetatable({ }, { __len = function() return 1 end, __index = "
     "function() error('mine', 0) end }) }", "mine"},
    {"f{ a = 10 }", "words: \"a\": got 10, allowed: a whole number from 0 to 9"},
    {"f{ others = { 1 } }",
     "words: unknown option \"others\"; did you mean \"other\"?"},
    {"f({ 1 }, { one = { 2 } })",
     "words: \"one\" is given twice, in order and by name"},
    {"f(1, 2, 3, 4, .5, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4)",
     "words: too many arguments; help(tensor.words) says what it takes"}};

TEST(lists_of_any_length_and_any_number_of_attributes_come_from_lua) {
  Session s = {.launch.runs = "runs"};
  Fault fault = {0};
  assert_int_equal(graph_open(&s.graph, 1, 1, &fault), ERR_OK);
  lua_State *L = session_open(&s, &fault);
  assert_non_null(L);
  bind_push_op(L, &op_words);
  lua_pushglobaltable(L);
  lua_insert(L, -2);
  lua_pushliteral(L, "words");
  lua_insert(L, -2);
  lua_rawset(L, -3);
  lua_settop(L, 0);
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    check_gives(L, calls[i].chunk, calls[i].want);
  session_close(&s, L);
  graph_close(&s.graph);
}
