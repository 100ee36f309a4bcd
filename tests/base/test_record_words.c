/* test_record_words.c: words of options tell values apart, whatever their type. */
#include "options.h"
#include "test.h"
#include "base/record.h"

typedef struct Thing {
  Object object;
  bool flag;
  int64_t count;
  double size;
  char *name;
  IntList shape;
  TextList tags;
  Object *inner;
} Thing;

static const Kind thing_kind;
static const Kind *const kinds[] = {&thing_kind, NULL};
static const Family family = {.name = "thing", .module = "things", .kinds = kinds};

#define AT(field) .offset = offsetof(Thing, field)
static const Option options[] = {
    {.name = "flag", .kind = OPT_BOOL, AT(flag), .value = "false", .doc = "a flag"},
    {.name = "count", .kind = OPT_INT, AT(count), .value = "1", .doc = "a count"},
    {.name = "size", .kind = OPT_REAL, AT(size), .value = "none", .doc = "a size"},
    {.name = "name", .kind = OPT_TEXT, AT(name), .doc = "a name"},
    {.name = "shape", .kind = OPT_INTS, AT(shape), .doc = "a shape"},
    {.name = "tags", .kind = OPT_TEXTS, AT(tags), .doc = "tags"},
    {.name = "inner", .kind = OPT_OBJECT, AT(inner), .family = &family,
     .doc = "another"},
    {0}};
static const Kind thing_kind = {.name = "Thing", .family = &family,
                                .size = sizeof(Thing),
                                .options = options, .doc = "A thing."};

enum { MOST = 64 };
typedef struct Key {
  uint64_t word[MOST];
  int n;
} Key;

static Fault fault;

static Object *thing(void) {
  Object *object = object_new(&thing_kind, &fault);
  assert_non_null(object);
  return object;
}

static Key key_of(const Object *object) {
  Key key = {0};
  for (const Option *opt = options; opt->name; opt++) {
    int n = option_words(object, opt, NULL);
    assert_true(key.n + n <= MOST);
    assert_int_equal(option_words(object, opt, key.word + key.n), n);
    key.n += n;
  }
  return key;
}

static bool same(const Key *a, const Key *b) {
  return a->n == b->n && memcmp(a->word, b->word, (size_t)a->n * sizeof *a->word) == 0;
}

static Err change(Object *o, const Option *opt, Object *inner) {
  const Value shape[] = {{.kind = VALUE_INT, .as.integer = 2},
                         {.kind = VALUE_INT, .as.integer = 3}};
  const Value tags[] = {{.kind = VALUE_TEXT, .as.text = "a"},
                        {.kind = VALUE_TEXT, .as.text = "longer than one word"}};
  const Given given[] = {{.value = {.kind = VALUE_BOOL, .as.boolean = true}},
                         {.value = {.kind = VALUE_INT, .as.integer = 7}},
                         {.value = {.kind = VALUE_REAL, .as.real = 7}},
                         {.value = {.kind = VALUE_TEXT, .as.text = "12345678"}},
                         {.value = {.kind = VALUE_LIST, .as.n_items = 2},
                          .items = shape},
                         {.value = {.kind = VALUE_LIST, .as.n_items = 2},
                          .items = tags},
                         {.value = {.kind = VALUE_OBJECT, .as.ref = inner}}};
  return option_set(o, opt, &given[opt - options], &fault);
}

/* The tags become a list of these. */
static void tag(Object *o, int n, const Value *tags) {
  Given given = {.value = {.kind = VALUE_LIST, .as.n_items = n}, .items = tags};
  assert_int_equal(option_set(o, option_named(&thing_kind, "tags"), &given, &fault),
                   ERR_OK);
}

TEST(each_option_that_differs_gives_other_words) {
  Object *plain = thing(), *like = thing();
  Key a = key_of(plain), b = key_of(like);
  assert_true(same(&a, &b));
  for (const Option *opt = options; opt->name; opt++) {
    Object *other = thing();
    assert_int_equal(change(other, opt, like), ERR_OK);
    b = key_of(other);
    assert_false(same(&a, &b));
    object_release(other);
  }
  object_release(plain);
  object_release(like);
}

/* { "ab" } is not { "a", "b" }, a number in a list not its text, an inner option
 * counts. */
TEST(lists_and_inner_objects_tell_their_parts) {
  Object *a = thing(), *b = thing(), *inner = thing();
  const Option *own = option_named(&thing_kind, "inner"),
               *count = option_named(&thing_kind, "count");
  tag(a, 1, (const Value[]){{.kind = VALUE_TEXT, .as.text = "1"}});
  tag(b, 1, (const Value[]){{.kind = VALUE_REAL, .as.real = 1}});
  Key x = key_of(a), y = key_of(b);
  assert_false(same(&x, &y));
  tag(a, 1, (const Value[]){{.kind = VALUE_TEXT, .as.text = "ab"}});
  tag(b, 2, (const Value[]){{.kind = VALUE_TEXT, .as.text = "a"},
                            {.kind = VALUE_TEXT, .as.text = "b"}});
  x = key_of(a), y = key_of(b);
  assert_false(same(&x, &y));
  assert_int_equal(option_set_object(a, own, inner, &fault), ERR_OK);
  x = key_of(a);
  assert_int_equal(give_number(inner, count, 9, &fault), ERR_OK);
  y = key_of(a);
  assert_false(same(&x, &y));
  object_release(a);
  object_release(b);
  object_release(inner);
}
