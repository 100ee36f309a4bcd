/* Types of options: what each takes, refuses, gives as text and JSON, and puts back. */
#include "options.h"
#include "test.h"
#include "base/record_json.h"

/* -- a family of our own ----------------------------------------------------------- */

static const Family inner_family, outer_family;

typedef struct Inner {
  Object object;
  double x;
} Inner;

static const Option inner_options[] = {
    {.name = "x", .kind = OPT_REAL, .offset = offsetof(Inner, x), .value = "0.5",
     .position = 1, .lo = 0, .hi = 1},
    {0}};
static const Kind small = {.name = "small", .family = &inner_family,
                           .size = sizeof(Inner),
                           .options = inner_options};
static const Kind plain = {.name = "plain", .family = &inner_family};
static const Kind *const inner_kinds[] = {&small, &plain, NULL};
static const Family inner_family = {
    .name = "thing", .module = "inner", .kinds = inner_kinds};

/* A thing of an upper floor that counts its references. */
static int references;
static void *retain(void *thing) {
  references++;
  return thing;
}
static void release(void *thing) {
  (void)thing;
  references--;
}
static const RefType counter = {"counter", retain, release};

typedef struct Outer {
  Object object;
  bool flag;
  int64_t units;
  double rate, maybe;
  char *text;
  int choice;
  IntList ints;
  RealList reals;
  IntPair kernel, padding;
  Sides sides;
  IntOrWord length;
  TextList texts;
  Object *thing;
  ObjectList things;
  WordOrObject mode;
  Callable *call;
  void *ref;
} Outer;

static const char *const colours[] = {"red", "green", NULL};
static const char *const paddings[] = {"valid", "same", NULL};

#define AT(field) .offset = offsetof(Outer, field)
static const Option outer_options[] = {
    {.name = "flag", .kind = OPT_BOOL, AT(flag), .value = "true"},
    {.name = "units", .kind = OPT_INT, AT(units), .value = "3", .lo = 1, .hi = 9},
    {.name = "rate", .kind = OPT_REAL, AT(rate), .value = "0.25", .lo = 0, .hi = 1},
    {.name = "maybe", .kind = OPT_REAL, AT(maybe), .value = "none"},
    {.name = "text", .kind = OPT_TEXT, AT(text), .value = "none"},
    {.name = "choice", .kind = OPT_CHOICE, AT(choice), .value = "green",
     .choices = colours},
    {.name = "ints", .kind = OPT_INTS, AT(ints), .lo = 1, .hi = 99},
    {.name = "reals", .kind = OPT_REALS, AT(reals), .lo = 0, .hi = 1},
    {.name = "kernel", .kind = OPT_PAIR, AT(kernel), .value = "1", .lo = 1, .hi = 99},
    {.name = "padding", .kind = OPT_PAIR, AT(padding), .value = "valid", .lo = 0,
     .hi = 99,
     .choices = paddings},
    {.name = "sides", .kind = OPT_SIDES, AT(sides), .value = "valid", .lo = 0, .hi = 99,
     .choices = paddings},
    {.name = "length", .kind = OPT_INT_OR_WORD, AT(length), .value = "red", .lo = 1,
     .hi = 99,
     .choices = colours},
    {.name = "texts", .kind = OPT_TEXTS, AT(texts)},
    {.name = "thing", .kind = OPT_OBJECT, AT(thing), .family = &inner_family,
     .value = "small"},
    {.name = "things", .kind = OPT_OBJECTS, AT(things), .family = &inner_family},
    {.name = "mode", .kind = OPT_WORD_OR_OBJECT, AT(mode), .value = "red",
     .family = &inner_family, .choices = colours},
    {.name = "call", .kind = OPT_CALL, AT(call)},
    {.name = "ref", .kind = OPT_REF, AT(ref), .ref_type = &counter},
    {0}};
static const Kind outer = {.name = "outer", .family = &outer_family,
                           .size = sizeof(Outer),
                           .options = outer_options};
static const Kind *const outer_kinds[] = {&outer, NULL};
static const Family outer_family = {
    .name = "outer", .module = "outer", .kinds = outer_kinds};

static Fault fault;

static Outer *make(void) {
  fault = (Fault){0};
  Outer *o = (Outer *)object_new(&outer, &fault);
  assert_non_null(o);
  return o;
}

static Err give(Outer *o, const char *name, const Given *given) {
  fault = (Fault){0};
  return option_set(&o->object, option_named(&outer, name), given, &fault);
}

static Err number(Outer *o, const char *name, double value) {
  return give(o, name, &(Given){.value = {.kind = VALUE_REAL, .as.real = value}});
}

static Err text(Outer *o, const char *name, const char *value) {
  return give(o, name, &(Given){.value = {.kind = VALUE_TEXT, .as.text = value}});
}

/* A list of n numbers. */
static Err numbers(Outer *o, const char *name, int n, const double *v) {
  Value items[16] = {{0}};
  for (int i = 0; i < n; i++) items[i] = (Value){.kind = VALUE_REAL, .as.real = v[i]};
  return give(o, name, &(Given){.value = {.kind = VALUE_LIST, .as.n_items = n},
                                .items = items});
}

static void reads(const Outer *o, const char *name, const char *want) {
  Text out = {0};
  option_add_text(&out, &o->object, option_named(&outer, name));
  assert_string_equal(out.data, want);
  text_deinit(&out);
}

static void says(const char *part) {
  if (!strstr(fault.text, part)) fail_msg("\"%s\" is not in \"%s\"", part, fault.text);
}

/* -- what they take ---------------------------------------------------------------- */

TEST(defaults_are_those_of_the_record) {
  Outer *o = make();
  assert_true(o->flag && o->units == 3 && o->rate == 0.25 && isnan(o->maybe) &&
              !o->text);
  assert_int_equal(o->choice, 1);
  assert_true(o->kernel.v[0] == 1 && o->kernel.v[1] == 1 &&
              o->kernel.word == WORD_NONE);
  reads(o, "padding", "valid");
  reads(o, "length", "red");
  reads(o, "mode", "red");
  reads(o, "thing", "small");
  reads(o, "maybe", "none");
  object_release(o);
}

TEST(a_pair_is_one_number_for_both_or_two_or_a_word) {
  Outer *o = make();
  assert_int_equal(number(o, "kernel", 3), ERR_OK);
  reads(o, "kernel", "{ 3, 3 }");
  assert_int_equal(numbers(o, "padding", 2, (double[]){1, 2}), ERR_OK);
  reads(o, "padding", "{ 1, 2 }");
  assert_int_equal(text(o, "padding", "same"), ERR_OK);
  reads(o, "padding", "same");
  assert_int_equal(number(o, "padding", 0), ERR_OK);
  reads(o, "padding", "{ 0, 0 }");
  reads(o, "sides", "valid");
  assert_int_equal(numbers(o, "sides", 4, (double[]){1, 2, 3, 4}), ERR_OK);
  reads(o, "sides", "{ 1, 2, 3, 4 }");
  assert_int_equal(numbers(o, "sides", 3, (double[]){1, 2, 3}), ERR_VALUE);
  says("got a list of 3");
  says("four for top");
  reads(o, "sides", "{ 1, 2, 3, 4 }");
  assert_int_equal(number(o, "sides", 2), ERR_OK);
  reads(o, "sides", "{ 2, 2 }");
  object_release(o);
}

TEST(what_is_no_pair_is_refused_and_changes_nothing) {
  Outer *o = make();
  uint64_t version = o->object.version;
  assert_int_equal(numbers(o, "kernel", 3, (double[]){1, 2, 3}), ERR_VALUE);
  says("got a list of more than 2, allowed: an integer from 1 to 99, or two, as in { "
       "3, 5 }");
  assert_int_equal(numbers(o, "kernel", 1, (double[]){4}), ERR_VALUE);
  assert_int_equal(numbers(o, "kernel", 2, (double[]){4, 0}), ERR_VALUE);
  says("got 0");
  assert_int_equal(numbers(o, "kernel", 2, (double[]){4, 1.5}), ERR_VALUE);
  assert_int_equal(number(o, "kernel", NAN), ERR_VALUE);
  assert_int_equal(text(o, "kernel", "same"), ERR_VALUE);
  assert_int_equal(text(o, "padding", "sane"), ERR_VALUE);
  says("did you mean \"same\"?");
  says("or one of \"valid\", \"same\"");
  reads(o, "kernel", "{ 1, 1 }");
  assert_true(o->object.version == version);
  object_release(o);
}

TEST(an_integer_or_a_word) {
  Outer *o = make();
  assert_int_equal(number(o, "length", 7), ERR_OK);
  reads(o, "length", "7");
  assert_int_equal(text(o, "length", "green"), ERR_OK);
  reads(o, "length", "green");
  assert_int_equal(number(o, "length", 0), ERR_VALUE);
  says("allowed: an integer from 1 to 99, or one of \"red\", \"green\"");
  assert_int_equal(text(o, "length", "blue"), ERR_VALUE);
  object_release(o);
}

TEST(a_list_of_numbers_owns_them) {
  Outer *o = make();
  assert_int_equal(numbers(o, "reals", 3, (double[]){0, 0.5, 1}), ERR_OK);
  reads(o, "reals", "{ 0, 0.5, 1 }");
  assert_int_equal(numbers(o, "reals", 2, (double[]){0.5, 2}), ERR_VALUE);
  reads(o, "reals", "{ 0, 0.5, 1 }");
  assert_int_equal(number(o, "reals", 0.25), ERR_OK);
  reads(o, "reals", "{ 0.25 }");
  object_release(o);
}

TEST(a_word_or_an_object) {
  Outer *o = make();
  assert_int_equal(text(o, "mode", "plain"), ERR_OK);
  reads(o, "mode", "plain");
  assert_int_equal(text(o, "mode", "green"), ERR_OK);
  assert_null(o->mode.object);
  assert_int_equal(text(o, "mode", "smal"), ERR_VALUE);
  says("did you mean \"small\"?");
  reads(o, "mode", "green");
  object_release(o);
}

TEST(things_of_upper_floors_are_counted) {
  static int thing;
  static const RefType other = {"other", retain, release};
  Outer *o = make();
  Given given = {.value = {.kind = VALUE_REF, .ref_type = &counter, .as.ref = &thing}};
  assert_int_equal(give(o, "ref", &given), ERR_OK);
  assert_int_equal(give(o, "ref", &given), ERR_OK);
  assert_int_equal(references, 1);
  given.value.ref_type = &other;
  assert_int_equal(give(o, "ref", &given), ERR_VALUE);
  says("option \"ref\": got a other, allowed: a counter");
  object_release(o);
  assert_int_equal(references, 0);
}

TEST(every_type_refuses_what_it_is_not) {
  Outer *o = make();
  for (const Option *opt = outer_options; opt->name; opt++) {
    Given other = {.value.kind = VALUE_OTHER, .what = "a userdata"};
    Value wrong[2] = {{.kind = VALUE_OTHER, .as.text = "x"}, {.kind = VALUE_NIL}};
    Given list = {.value = {.kind = VALUE_LIST, .as.n_items = 2}, .items = wrong};
    uint64_t version = o->object.version;
    assert_int_not_equal(give(o, opt->name, &other), ERR_OK);
    says(opt->name);
    says("got a userdata, allowed: ");
    assert_int_not_equal(give(o, opt->name, &list), ERR_OK);
    assert_int_not_equal(give(o, opt->name, &(Given){0}), ERR_OK);
    assert_true(o->object.version == version);
  }
  object_release(o);
}

/* -- as JSON, and back ------------------------------------------------------------- */

static void fill(Outer *o) {
  assert_int_equal(number(o, "units", 9), ERR_OK);
  assert_int_equal(text(o, "text", "t"), ERR_OK);
  assert_int_equal(numbers(o, "ints", 2, (double[]){4, 5}), ERR_OK);
  assert_int_equal(numbers(o, "reals", 2, (double[]){0.1, 1}), ERR_OK);
  assert_int_equal(numbers(o, "kernel", 2, (double[]){3, 5}), ERR_OK);
  assert_int_equal(text(o, "padding", "same"), ERR_OK);
  assert_int_equal(number(o, "length", 12), ERR_OK);
  assert_int_equal(numbers(o, "texts", 2, (double[]){1, 2.5}), ERR_OK);
  assert_int_equal(text(o, "thing", "plain"), ERR_OK);
  assert_int_equal(text(o, "mode", "small"), ERR_OK);
}

static char *json_of(const Outer *o) {
  Json *json = object_values(&o->object, NULL);
  Text out = {0};
  assert_int_equal(json_write(json, 0, &out, &fault), ERR_OK);
  json_free(json);
  return out.data;
}

TEST(values_come_back_from_json) {
  Outer *o = make(), *back = make();
  fill(o);
  char *want = json_of(o);
  assert_non_null(strstr(want, "\"kernel\":[3,5]"));
  assert_non_null(strstr(want, "\"padding\":\"same\""));
  assert_non_null(strstr(want, "\"maybe\":\"nan\""));
  Json *json = json_parse(want, strlen(want), &fault);
  assert_int_equal(object_set_values(&back->object, json, NULL, &fault), ERR_OK);
  char *got = json_of(back);
  assert_string_equal(got, want);
  uint64_t version = back->object.version;
  assert_int_equal(object_set_values(&back->object, json, NULL, &fault), ERR_OK);
  assert_true(back->object.version == version);
  json_free(json);
  free(want);
  free(got);
  object_release(o);
  object_release(back);
}

TEST(json_of_another_shape_is_refused) {
  static const char *const wrong[] = {
      "\"units\":\"x\"", "\"flag\":1", "\"choice\":\"blue\"", "\"kernel\":[1]",
      "\"length\":[1]",  "\"thing\":3", "\"things\":[1]",     "\"text\":{}",
      "\"reals\":[true]"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    Outer *o = make();
    Json *json = object_values(&o->object, NULL);
    char whole[64];
    snprintf(whole, sizeof whole, "{%s}", wrong[i]);
    Json *bad = json_parse(whole, strlen(whole), &fault);
    void *it = json_first(bad);
    json_put(json, json_key(it), json_share(json_value(it)));
    assert_int_not_equal(object_set_values(&o->object, json, NULL, &fault), ERR_OK);
    json_free(bad);
    json_free(json);
    object_release(o);
  }
}

TEST(a_signature_follows_what_is_inside) {
  Outer *o = make();
  assert_int_equal(text(o, "mode", "small"), ERR_OK);
  uint64_t before = object_signature(&o->object);
  assert_int_equal(give_number(o->thing, inner_options, 0.75, &fault), ERR_OK);
  uint64_t after = object_signature(&o->object);
  assert_true(before != after);
  assert_int_equal(give_number(o->mode.object, inner_options, 0.75, &fault), ERR_OK);
  assert_true(object_signature(&o->object) != after);
  assert_false(object_has_call(&o->object));
  object_release(o);
}
