/* Records: kinds and options by name, alias and position; objects made of them,
 * checked, counted and written as text. */
#include "test.h"
#include "base/record.h"

/* -- a family of our own ----------------------------------------------------------- */

static const Family tool_family;

typedef struct Saw {
  Object object;
  int64_t teeth;
  double angle;
  char *maker;
  Object *spare;
  ObjectList set;
  Callable *cut;
  bool sharp; /* of saw_check */
} Saw;

static int n_deinit;

static Err saw_check(Object *object, Fault *fault) {
  Saw *saw = (Saw *)object;
  if (saw->teeth > 80 && saw->angle > 45)
    return fault_set(fault, ERR_VALUE, "tools.Saw: too steep for %lld teeth",
                     (long long)saw->teeth);
  saw->sharp = true;
  return ERR_OK;
}

static void saw_deinit(Object *object) {
  n_deinit++;
  ((Saw *)object)->sharp = false;
}

#define AT(field) .offset = offsetof(Saw, field)
static const Option saw_options[] = {
    {.name = "teeth", .kind = OPT_INT, AT(teeth), .position = 1,
     .alias = "n_teeth points", .lo = 1, .hi = 99, .doc = "number of teeth"},
    {.name = "angle", .kind = OPT_REAL, AT(angle), .position = 2, .value = "30",
     .doc = "angle of a tooth, in degrees"},
    {.name = "maker", .kind = OPT_TEXT, AT(maker), .value = "none"},
    {.name = "spare", .kind = OPT_OBJECT, AT(spare), .family = &tool_family},
    {.name = "set", .kind = OPT_OBJECTS, AT(set), .family = &tool_family},
    {.name = "cut", .kind = OPT_CALL, AT(cut)},
    {0}};
static const Kind saw_kind = {
    .name = "Saw", .alias = "handsaw ripsaw", .family = &tool_family,
    .size = sizeof(Saw), .options = saw_options,
    .check = saw_check, .deinit = saw_deinit};
static const Kind hammer_kind = {.name = "Hammer", .family = &tool_family};
static const Kind *const tool_kinds[] = {&saw_kind, &hammer_kind, NULL};
static const Family tool_family = {
    .name = "tool", .module = "tools", .kinds = tool_kinds};

static Fault fault;

static void says(const char *part) {
  if (!strstr(fault.text, part)) fail_msg("\"%s\" is not in \"%s\"", part, fault.text);
}

static Saw *saw_new(void) {
  fault = (Fault){0};
  Object *object = object_new(&saw_kind, &fault);
  assert_non_null(object);
  return (Saw *)object;
}

static const Option *named(const char *name) {
  const Option *opt = option_named(&saw_kind, name);
  assert_non_null(opt);
  return opt;
}

static Err set_number(Saw *saw, const char *name, double value) {
  Given given = {.value = {.kind = VALUE_REAL, .as.real = value}};
  fault = (Fault){0};
  return option_set(&saw->object, named(name), &given, &fault);
}

/* -- by name ----------------------------------------------------------------------- */

TEST(kinds_are_found_by_name_and_by_each_alias) {
  fault = (Fault){0};
  assert_ptr_equal(family_find(&tool_family, "Saw", &fault), &saw_kind);
  assert_ptr_equal(family_find(&tool_family, "handsaw", &fault), &saw_kind);
  assert_ptr_equal(family_find(&tool_family, "ripsaw", &fault), &saw_kind);
  assert_ptr_equal(family_find(&tool_family, "Hammer", &fault), &hammer_kind);
  assert_int_equal(fault.code, ERR_OK);
  assert_null(family_find(&tool_family, "hand", NULL));
  assert_null(family_find(&tool_family, "handsaw ripsaw", NULL));
}

TEST(an_unknown_kind_is_refused_with_the_nearest_or_all) {
  fault = (Fault){0};
  assert_null(family_find(&tool_family, "Hamer", &fault));
  assert_int_equal(fault.code, ERR_VALUE);
  says("unknown tool \"Hamer\"; did you mean \"Hammer\"?");
  assert_string_equal(family_nearest(&tool_family, "hammer"), "Hammer");
  fault = (Fault){0};
  assert_null(family_find(&tool_family, "screwdriver", &fault));
  says("unknown tool \"screwdriver\"; allowed: one of \"Saw\", \"Hammer\"");
  assert_null(family_nearest(&tool_family, "screwdriver"));
}

TEST(options_are_found_by_name_alias_and_position) {
  fault = (Fault){0};
  assert_int_equal(option_count(&saw_kind), 6);
  assert_int_equal(option_count(&hammer_kind), 0);
  assert_ptr_equal(option_named(&saw_kind, "teeth"), &saw_options[0]);
  assert_ptr_equal(option_named(&saw_kind, "n_teeth"), &saw_options[0]);
  assert_ptr_equal(option_find(&saw_kind, "points", &fault), &saw_options[0]);
  assert_ptr_equal(option_at(&saw_kind, 2), &saw_options[1]);
  assert_null(option_at(&saw_kind, 3));
  assert_null(option_at(&hammer_kind, 1));
  assert_int_equal(fault.code, ERR_OK);
}

TEST(an_unknown_option_is_refused_with_the_nearest_or_all) {
  fault = (Fault){0};
  assert_null(option_find(&saw_kind, "tooth", &fault));
  says("tools.Saw: unknown option \"tooth\"; did you mean \"teeth\"?");
  fault = (Fault){0};
  assert_null(option_find(&saw_kind, "colour", &fault));
  says("unknown option \"colour\"; allowed: one of \"teeth\", \"angle\", \"maker\"");
  fault = (Fault){0};
  assert_null(option_find(&hammer_kind, "weight", &fault));
  says("tools.Hammer: unknown option \"weight\"; it has no options");
}

/* -- life -------------------------------------------------------------------------- */

TEST(what_is_required_must_be_given) {
  Saw *saw = saw_new();
  bool given[6] = {false};
  assert_int_equal(object_ready(&saw->object, given, &fault), ERR_VALUE);
  says("tools.Saw: \"teeth\" is missing: an integer from 1 to 99 (number of teeth)");
  assert_false(saw->sharp);
  fault = (Fault){0};
  given[0] = true;
  assert_int_equal(set_number(saw, "teeth", 9), ERR_OK);
  assert_int_equal(object_ready(&saw->object, given, &fault), ERR_OK);
  assert_true(saw->sharp && saw->angle == 30 && !saw->maker && saw->set.n == 0);
  object_release(saw);
}

TEST(the_kind_checks_what_no_single_option_shows) {
  Saw *saw = saw_new();
  assert_int_equal(set_number(saw, "teeth", 81), ERR_OK);
  assert_int_equal(set_number(saw, "angle", 46), ERR_OK);
  assert_int_equal(object_ready(&saw->object, NULL, &fault), ERR_VALUE);
  says("too steep for 81 teeth");
  object_release(saw);
}

TEST(an_object_ends_with_its_last_reference_and_lets_its_parts_go) {
  Saw *saw = saw_new(), *spare = saw_new();
  int before = n_deinit;
  assert_int_equal(option_set_object(&saw->object, named("spare"), &spare->object,
                                     &fault),
                   ERR_OK);
  assert_int_equal(spare->object.refs, 2);
  object_release(spare);
  assert_ptr_equal(object_retain(saw), saw);
  object_release(saw);
  assert_int_equal(n_deinit, before);
  assert_int_equal(saw->spare->refs, 1);
  object_release(saw);
  assert_int_equal(n_deinit, before + 2);
  object_release(NULL);
  assert_null(object_retain(NULL));
}

TEST(an_object_by_name_has_its_defaults) {
  fault = (Fault){0};
  Object *hammer = family_make(&tool_family, "Hammer", &fault);
  assert_non_null(hammer);
  assert_ptr_equal(hammer->kind, &hammer_kind);
  object_release(hammer);
  Saw *saw = (Saw *)family_make(&tool_family, "ripsaw", &fault);
  assert_true(saw && saw->angle == 30 && saw->sharp);
  object_release(saw);
  assert_null(family_make(&tool_family, "Hamer", &fault));
  assert_int_equal(fault.code, ERR_VALUE);
}

/* -- setting ----------------------------------------------------------------------- */

TEST(what_is_refused_changes_nothing_and_names_all_there_is_to_know) {
  Saw *saw = saw_new();
  assert_int_equal(set_number(saw, "teeth", 99), ERR_OK);
  uint64_t version = saw->object.version;
  assert_int_equal(set_number(saw, "teeth", 100), ERR_VALUE);
  says("tools.Saw: option \"teeth\": got 100, allowed: an integer from 1 to 99");
  assert_int_equal(set_number(saw, "teeth", 0), ERR_VALUE);
  assert_int_equal(set_number(saw, "teeth", NAN), ERR_VALUE);
  assert_int_equal(set_number(saw, "angle", INFINITY), ERR_VALUE);
  says("allowed: a finite number");
  assert_true(saw->teeth == 99 && saw->angle == 30 && saw->object.version == version);
  assert_int_equal(set_number(saw, "teeth", 1), ERR_OK);
  assert_true(saw->object.version != version);
  object_release(saw);
}

TEST(a_list_takes_objects_of_its_family_and_lets_the_old_ones_go) {
  Saw *saw = saw_new(), *other = saw_new();
  Object *two[] = {&other->object, &other->object};
  assert_int_equal(option_set_objects(&saw->object, named("set"), two, 2, &fault),
                   ERR_OK);
  assert_true(saw->set.n == 2 && saw->set.v[1] == &other->object);
  assert_int_equal(other->object.refs, 3);
  assert_int_equal(option_set_objects(&saw->object, named("set"), two, 1, &fault),
                   ERR_OK);
  assert_int_equal(other->object.refs, 2);
  option_clear(&saw->object, named("set"));
  assert_true(saw->set.n == 0 && other->object.refs == 1);
  object_release(other);
  object_release(saw);
}

static void free_call(Callable *call) { call->refs = -1; }

TEST(functions_of_the_user_are_found_at_any_depth) {
  Callable call = {.refs = 1, .free = free_call};
  Saw *saw = saw_new(), *inner = saw_new();
  assert_int_equal(option_set_object(&saw->object, named("spare"), &inner->object,
                                     &fault),
                   ERR_OK);
  assert_false(object_has_call(&saw->object));
  uint64_t before = object_signature(&saw->object);
  assert_int_equal(option_set_call(&inner->object, named("cut"), &call, &fault),
                   ERR_OK);
  assert_true(object_has_call(&saw->object) && object_has_call(&inner->object));
  assert_true(object_signature(&saw->object) != before);
  assert_false(object_has_call(NULL));
  object_release(inner);
  object_release(saw);
  assert_int_equal(call.refs, 1);
}

/* -- as text ----------------------------------------------------------------------- */

static void assert_texts(const Saw *saw, const char *whole, const char *call) {
  Text text = {0};
  object_add_text(&text, &saw->object);
  assert_string_equal(text.data, whole);
  text_deinit(&text);
  object_add_call(&text, &saw->object, NULL);
  assert_string_equal(text.data, call);
  text_deinit(&text);
}

TEST(an_object_reads_as_the_call_that_makes_it) {
  Saw *saw = saw_new();
  char label[32];
  assert_string_equal(kind_label(&saw_kind, label, sizeof label), "tools.Saw");
  assert_int_equal(set_number(saw, "teeth", 12), ERR_OK);
  assert_texts(saw, "tools.Saw { teeth = 12, angle = 30, spare = none, set = {} }",
               "tools.Saw(12)");
  assert_int_equal(set_number(saw, "angle", 22.5), ERR_OK);
  assert_int_equal(option_set_text(&saw->object, named("maker"), "Disston", &fault),
                   ERR_OK);
  assert_texts(saw,
               "tools.Saw { teeth = 12, angle = 22.5, maker = Disston, spare = none, "
               "set = {} }",
               "tools.Saw(12, angle = 22.5, maker = Disston)");
  object_release(saw);
}

TEST(a_family_can_be_left_out_of_a_call) {
  Saw *saw = saw_new();
  Object *hammer = family_make(&tool_family, "Hammer", &fault);
  assert_int_equal(set_number(saw, "teeth", 12), ERR_OK);
  assert_int_equal(option_set_object(&saw->object, named("spare"), hammer, &fault),
                   ERR_OK);
  Text text = {0};
  object_add_call(&text, &saw->object, NULL);
  assert_string_equal(text.data, "tools.Saw(12, spare = Hammer)");
  text_deinit(&text);
  object_add_call(&text, &saw->object, &tool_family);
  assert_string_equal(text.data, "tools.Saw(12)");
  text_deinit(&text);
  object_add_call(&text, hammer, &tool_family);
  assert_string_equal(text.data, "tools.Hammer");
  text_deinit(&text);
  object_add_call(&text, hammer, NULL);
  assert_string_equal(text.data, "tools.Hammer()");
  text_deinit(&text);
  object_release(hammer);
  object_release(saw);
}
