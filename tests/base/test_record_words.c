/* test_record_words.c: words of options tell values apart, whatever their type. */
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
static const Family family = {"thing", "things", kinds, NULL};

#define AT(field) .offset = offsetof(Thing, field)
static const Option options[] = {
    {.name = "flag", .kind = OPT_BOOL, AT(flag), .value = "false", .doc = "a flag"},
    {.name = "count", .kind = OPT_INT, AT(count), .value = "1", .doc = "a count"},
    {.name = "size", .kind = OPT_REAL, AT(size), .value = "none", .doc = "a size"},
    {.name = "name", .kind = OPT_TEXT, AT(name), .doc = "a name"},
    {.name = "shape", .kind = OPT_INTS, AT(shape), .doc = "a shape"},
    {.name = "tags", .kind = OPT_TEXTS, AT(tags), .doc = "tags"},
    {.name = "inner", .kind = OPT_OBJECT, AT(inner), .family = &family, .doc = "another"},
    {0}};
static const Kind thing_kind = {.name = "Thing", .family = &family, .size = sizeof(Thing),
                                .options = options, .doc = "A thing."};

enum { MOST = 64 };
typedef struct Key { uint64_t word[MOST]; int n; } Key;

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
  const char *tags[] = {"a", "longer than one word"};
  switch (opt->kind) {
  case OPT_BOOL: return option_set_bool(o, opt, true, &fault);
  case OPT_TEXT: return option_set_text(o, opt, "12345678", &fault);
  case OPT_INTS: return option_set_ints(o, opt, (int64_t[]){2, 3}, 2, &fault);
  case OPT_TEXTS: return option_set_texts(o, opt, tags, NULL, 2, &fault);
  case OPT_OBJECT: return option_set_object(o, opt, inner, &fault);
  default: return option_set_number(o, opt, 7, &fault);
  }
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

/* { "ab" } is not { "a", "b" }, a number in a list not its text, an inner option counts. */
TEST(lists_and_inner_objects_tell_their_parts) {
  Object *a = thing(), *b = thing(), *inner = thing();
  const Option *tags = option_named(&thing_kind, "tags"),
               *own = option_named(&thing_kind, "inner"),
               *count = option_named(&thing_kind, "count");
  assert_int_equal(option_set_texts(a, tags, (const char *[]){"1"}, NULL, 1, &fault), ERR_OK);
  assert_int_equal(option_set_texts(b, tags, (const char *[]){"1"}, (bool[]){true}, 1, &fault),
                   ERR_OK);
  Key x = key_of(a), y = key_of(b);
  assert_false(same(&x, &y));
  assert_int_equal(option_set_texts(a, tags, (const char *[]){"ab"}, NULL, 1, &fault), ERR_OK);
  assert_int_equal(option_set_texts(b, tags, (const char *[]){"a", "b"}, NULL, 2, &fault),
                   ERR_OK);
  x = key_of(a), y = key_of(b);
  assert_false(same(&x, &y));
  assert_int_equal(option_set_object(a, own, inner, &fault), ERR_OK);
  x = key_of(a);
  assert_int_equal(option_set_number(inner, count, 9, &fault), ERR_OK);
  y = key_of(a);
  assert_false(same(&x, &y));
  object_release(a);
  object_release(b);
  object_release(inner);
}
