/* Lack of memory at any place: programs run in a session, and the n-th allocation
 * fails, for n = 1, 2, ... until a run needs no more. Each run must end with its
 * results or with a fault that speaks of memory, and give everything back.
 *
 * Lua's own allocations do not fail here: it raises where it asks. Nor do
 * jansson's: 2.14 takes lack of memory for an error of the text, or ends the program
 * (lex_scan_string). Without LONG only every so many allocations fail, others in each
 * program. */
#include "kernel/gemm.h"
#include "lua/core.h"
#include "tempdir.h"
#include "test.h"
#include <errno.h>
#include <jansson.h>

#if !defined(WATCHED_HEAP) && defined(__GLIBC__)
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);
void __libc_free(void *p);

/* Allocations may fail. Volatile: compilers know that realloc does not look at it. */
static volatile bool armed;
static int64_t n_asked, fail_at, n_live;

static bool fails(void) {
  bool failing = armed && ++n_asked == fail_at;
  if (failing) errno = ENOMEM;
  return failing;
}

static void *made(void *p) {
  n_live += p != NULL;
  return p;
}

void *malloc(size_t n) { return fails() ? NULL : made(__libc_malloc(n)); }
void *calloc(size_t n, size_t size) {
  return fails() ? NULL : made(__libc_calloc(n, size));
}
void *aligned_alloc(size_t a, size_t n) {
  return fails() ? NULL : made(__libc_memalign(a, n));
}

void *realloc(void *p, size_t n) {
  if (fails()) return NULL;
  return p ? __libc_realloc(p, n) : made(__libc_realloc(p, n));
}

void free(void *p) {
  n_live -= p != NULL;
  __libc_free(p);
}

/* Memory that does not fail. */
static void *sure_realloc(void *p, size_t n) {
  bool before = armed;
  armed = false;
  void *q = n ? realloc(p, n) : NULL;
  if (!n) free(p);
  armed = before;
  return q;
}

static void *sure_malloc(size_t n) { return sure_realloc(NULL, n ? n : 1); }

static void *lua_memory(void *ud, void *p, size_t old, size_t n) {
  (void)ud, (void)old;
  return sure_realloc(p, n);
}

/* -- programs ---------------------------------------------------------------------- */

static const char *const programs[] = {
    /* tensors, gradients, files */
    "local x = tensor.variable(tensor { { 1, 2 }, { 3, 4 } })\n"
    "local y = (x:matmul(x):tanh() + x:transpose()):sum()\n"
    "local g = grad(y, { x })[1]\n"
    "tensor.save('t.safetensors', { g = g, s = g:softmax():reshape(4):slice { 1, 2 } "
    "})\n"
    "local back = tensor.load 't.safetensors'\n"
    "assert(tostring(back.g) == tostring(g) and #g:totable() == 2)\n",
    /* layers, a step, a static step */
    "local net = nn.Sequential { nn.Dense(3, { activation = 'relu' }), "
    "nn.BatchNorm(),\n"
    "  nn.Residual(nn.Dense(3)), nn.Dropout(0.5), nn.Dense(1) }\n"
    "local x, y = tensor.randn(4, 2), tensor.randn(4, 1)\n"
    "for _, static in ipairs { false, true } do\n"
    "  local step = train.step(function(a, b) return loss.mse(net(a), b) end, net,\n"
    "    optim.Adam { lr = 0.1, clipnorm = 1 }, { static = static })\n"
    "  for i = 1, 3 do step(x, y) end\n"
    "end\n"
    "net:save 'n.safetensors'; net:load 'n.safetensors'; net:load(net:state())\n"
    "assert(#net:summary() > 0)\n",
    /* data sets and a fit */
    "local set = data.spirals { n = 12, classes = 2 }\n"
    "local first, second = set:split(0.5, { stratify = true })\n"
    "local scaled = first:normalize()\n"
    "local net = nn.Sequential { nn.Dense(4, { activation = 'tanh' }), nn.Dense(2) }\n"
    "local history = train.fit(net, scaled, { loss = "
    "'sparse_categorical_crossentropy',\n"
    "  optimizer = 'sgd', epochs = 2, batch_size = 4, validation_data = second,\n"
    "  metrics = { 'accuracy' }, verbose = false,\n"
    "  callbacks = { train.early_stopping { restore_best = true } } })\n"
    "assert(net:evaluate(second).accuracy and #net:predict_classes(tensor.randn(3, 2)) "
    "== 3)\n",
    /* layers of sequences, and a gradient of their gradient */
    "local ids = tensor({ { 1, 2, 0 } }, { dtype = 'int32' })\n"
    "local net = nn.Sequential { nn.Embedding(2, 2, { mask_zero = true }),\n"
    "  nn.SinePositionEncoding(), nn.TransformerEncoder(1, 2, { dropout = 0.5 }),\n"
    "  nn.GRU(2, { return_sequences = true, layer_norm = true }),\n"
    "  nn.Bidirectional(nn.LSTM(1)) }\n"
    "assert(#net(ids):totable()[1] == 2)\n"
    "local layer, x = nn.LSTM(1), tensor.variable(tensor.ones(1, 2, 1))\n"
    "local g = grad(layer(x, { training = true }):sum(), { x })[1]\n"
    "assert(#grad(g:square():sum(), layer:parameters()) == 3)\n"};
enum { N_PROGRAMS = sizeof programs / sizeof *programs };

static Err run_program(const char *code, Fault *fault) {
  Session s = {.launch.runs = "runs"};
  armed = true;
  Err err = graph_open(&s.graph, 1, 1, fault);
  armed = false;
  if (err) return err;
  lua_State *L = session_open(&s, fault);
  must(L);
  lua_setallocf(L, lua_memory, NULL);
  must(luaL_loadstring(L, code) == LUA_OK);
  armed = true;
  err = bind_call_protected(L, 0, 0, fault);
  lua_gc(L, LUA_GCCOLLECT);
  armed = false;
  session_close(&s, L);
  graph_close(&s.graph);
  return err;
}

/* Did the run get so far that the n-th allocation failed? */
static bool run_failing(int program, int64_t n) {
  Fault fault = {0};
  int64_t n_before = n_live;
  n_asked = 0;
  fail_at = n;
  Err err = run_program(programs[program], &fault);
  bool failed = n_asked >= n;
  if (err && !(failed && strstr(fault.text, "memory")))
    fail_msg("program %d, allocation %d: %s", program, (int)n, fault.text);
  if (failed && n_live != n_before)
    fail_msg("program %d, allocation %d: %d blocks are lost (%s)", program, (int)n,
             (int)(n_live - n_before), fault.text);
  return failed;
}

TEST(any_allocation_may_fail) {
  char here[4096];
  Fault fault = {0};
  assert_non_null(getcwd(here, sizeof here));
  assert_int_equal(chdir(temp_path(".")), 0);
  assert_int_equal(gemm_init(&fault), ERR_OK);
  json_set_alloc_funcs(sure_malloc, free);
  int64_t stride = getenv("LONG") ? 1 : 23;
  for (int p = 0; p < N_PROGRAMS; p++) {
    assert_false(
        run_failing(p, INT64_MAX)); /* what is made once is there from now on */
    for (int64_t n = p + 1; run_failing(p, n); n += stride) continue;
  }
  assert_int_equal(chdir(here), 0);
}
#else
TEST(any_allocation_may_fail) { return; } /* the heap is the sanitizer's */
#endif
