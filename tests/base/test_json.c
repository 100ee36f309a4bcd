/* test_json.c: order, numbers, strictness, lost memory. */
#include "base/json.h"
#include "tempdir.h"
#include "test.h"

static void check_text(const Json *json, int indent, const char *want) {
  Text text = {0};
  Fault fault = {0};
  assert_int_equal(json_write(json, indent, &text, &fault), ERR_OK);
  assert_string_equal(text.data, want);
  text_deinit(&text);
}

TEST(json_keeps_order_and_writes_shortest_numbers) {
  Json *map = json_map(), *list = json_list();
  json_put_number(map, "lr", 0.1);
  json_put_int(map, "epochs", 5);
  json_put_bool(map, "bias", true);
  json_put_text(map, "a\"b", "x\n\t\\\x01");
  json_put_number(map, "whole", 3);
  json_put_number(map, "bad", NAN);
  json_push_int(list, -1);
  json_push_number(list, -INFINITY);
  json_push_text(list, NULL);
  json_put(map, "list", list);
  json_put_number(map, "lr", 1e-7);
  check_text(map, 0,
             "{\"lr\":1e-07,\"epochs\":5,\"bias\":true,"
             "\"a\\\"b\":\"x\\n\\u0009\\\\\\u0001\",\"whole\":3.0,"
             "\"bad\":\"nan\",\"list\":[-1,\"-inf\",null]}");
  json_free(map);
}

TEST(what_is_not_there_is_empty) {
  Json *map = json_map(), *more = json_map();
  Text text = {0};
  Fault fault = {0};
  json_put_int(map, "n", 7);
  json_put_bool(map, "yes", true);
  json_put_int(more, "n", 8);
  json_put_text(more, "s", "t");
  assert_int_equal(json_int(map, "n"), 7);
  assert_int_equal(json_int(map, "m") + json_int(NULL, "n") + json_int(map, "yes"), 0);
  assert_true(json_bool(map, "yes"));
  assert_false(json_bool(map, "n") || json_bool(NULL, "yes"));
  json_put_all(map, more);
  json_put_all(map, NULL);
  check_text(map, 0, "{\"n\":8,\"yes\":true,\"s\":\"t\"}");
  assert_int_equal(json_count(NULL) + json_count(json_find(map, "n")), 0);
  assert_null(json_first(NULL));
  assert_null(json_first(json_find(map, "n")));
  assert_int_equal(json_write_lines(more, &text, &fault), ERR_OK);
  assert_string_equal(text.data, "{\n  \"n\": 8,\n  \"s\": \"t\"\n}\n");
  assert_int_equal(json_write_lines(NULL, &text, &fault), ERR_MEMORY);
  text_deinit(&text);
  json_free(map);
  json_free(more);
}

/* Around the number from which on there is an index, and far beyond. */
static const char *volatile nothing; /* a text that is not there */

TEST(json_puts_several_values_at_once) {
  Json *map = json_mapf("n %d mean %g sd %g name %s none %s", 3, 0.5, NAN, "x y",
                        nothing);
  const bool yes = true, no = false;
  json_putf(map, "whole %hhd cut %hhd interval [%g,%g] unknown [%g,%g]", yes, no, 1.5,
            2.0, NAN, 1.0);
  json_putf(map, "many %lld inner %p", 1LL << 40, json_mapf("a %d", 1));
  check_text(map, 0,
             "{\"n\":3,\"mean\":0.5,\"sd\":null,\"name\":\"x y\",\"none\":null,"
             "\"whole\":true,\"cut\":false,\"interval\":[1.5,2.0],\"unknown\":null,"
             "\"many\":1099511627776,\"inner\":{\"a\":1}}");
  json_free(map);
}

TEST(json_finds_each_of_many_keys) {
  for (int n = 14; n <= 20000; n = n < 70 ? n + 1 : 3 * n) {
    Json *map = json_map();
    char key[32];
    for (int i = 0; i < n; i++) {
      snprintf(key, sizeof key, "fit%d.loss", (i * 7919) % n);
      json_put_int(map, key, -1);
      json_put_int(map, key, (i * 7919) % n);
    }
    Json *sorted = json_canonical(map);
    assert_int_equal(json_count(sorted), json_count(map));
    for (int i = 0; i < n; i++) {
      int64_t value = -2, again = -3;
      snprintf(key, sizeof key, "fit%d.loss", (i * 7919) % n);
      assert_true(json_find_int(map, key, &value));
      assert_true(json_find_int(sorted, key, &again));
      assert_int_equal(value, (i * 7919) % n);
      assert_int_equal(again, value);
    }
    assert_null(json_find(map, "fit.loss"));
    assert_null(json_find(sorted, "fit-1.loss"));
    json_free(sorted);
    json_free(map);
  }
}

TEST(json_reads_back_what_it_wrote) {
  Json *map = json_map();
  json_put_number(map, "x", 0.1 + 0.2);
  json_put_number(map, "inf", INFINITY);
  json_put_int(map, "i", INT64_MIN);
  json_put_text(map, "t", "gr\xc3\xbc\xc3\x9f");
  json_put_text(map, "broken", "a\xff");
  Text text = {0};
  Fault fault = {0};
  assert_int_equal(json_write(map, 2, &text, &fault), ERR_OK);
  Json *back = json_parse(text.data, text.n_bytes, &fault);
  assert_non_null(back);
  double x, inf;
  int64_t i;
  const char *t;
  assert_true(json_find_number(back, "x", &x) && x == 0.1 + 0.2);
  assert_true(json_find_number(back, "inf", &inf) && inf == INFINITY);
  assert_true(json_find_int(back, "i", &i) && i == INT64_MIN);
  assert_true(json_find_text(back, "t", &t));
  assert_string_equal(t, "gr\xc3\xbc\xc3\x9f");
  assert_false(json_find_int(back, "x", &i));
  assert_false(json_find_text(back, "none", &t));
  json_free(back);
  json_free(map);
  text_deinit(&text);
}

TEST(json_shares_values) {
  Json *inner = json_map(), *a = json_map(), *b = json_map();
  json_put_int(inner, "n", 1);
  json_put(a, "inner", json_share(inner));
  json_put(b, "inner", inner);
  json_free(a);
  check_text(b, 0, "{\"inner\":{\"n\":1}}");
  json_free(b);
}

TEST(json_refuses) {
  const char *bad[] = {"", "{", "{}x", "{\"a\":1,\"a\":2}", "[1,]", "{a:1}", "\"\xff\"",
                       "[nan]", "[1e999]", "[123456789012345678901234567890]", "'a'",
                       "\"\\u0000\"", "[01]"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    Fault fault = {0};
    Json *json = json_parse(bad[i], strlen(bad[i]), &fault);
    if (json) fail_msg("accepted %s", bad[i]);
    assert_int_equal(fault.code, ERR_DATA);
  }
  char deep[2 * JSON_DEPTH + 2];
  memset(deep, '[', JSON_DEPTH + 1);
  memset(deep + JSON_DEPTH + 1, ']', JSON_DEPTH + 1);
  Fault fault = {0};
  assert_null(json_parse(deep, sizeof deep, &fault));
  assert_non_null(strstr(fault.text, "nested"));
  fault_clear(&fault);
  Json *json = json_parse(deep + 1, sizeof deep - 2, &fault);
  assert_non_null(json);
  json_free(json);
}

TEST(json_reports_lost_memory_at_the_end) {
  Json *map = json_map();
  json_put(map, "gone", NULL);
  Json *outer = json_map();
  json_put(outer, "map", map);
  Text text = {0};
  Fault fault = {0};
  assert_int_equal(json_write(outer, 0, &text, &fault), ERR_MEMORY);
  json_free(outer);
  text_deinit(&text);
}

TEST(shared_values_stay_and_missing_ones_are_left_out) {
  Json *map = json_map(), *value = json_map();
  json_put_int(value, "a", 1);
  json_put_shared(map, "there", value);
  json_put_shared(map, "missing", NULL);
  json_free(value);
  check_text(map, 0, "{\"there\":{\"a\":1}}");
  json_free(map);
}

TEST(canonical_text_is_that_of_equal_values) {
  Json *map = json_map();
  Text text = {0};
  Fault fault = {0};
  json_put_number(map, "b", -0.0);
  json_put_int(map, "a", 1);
  assert_int_equal(json_write_canonical(map, &text, &fault), ERR_OK);
  assert_string_equal(text.data, "{\"a\":1,\"b\":0.0}");
  json_free(map);
  text_deinit(&text);
  assert_int_equal(json_write_canonical(NULL, &text, &fault), ERR_MEMORY);
  text_deinit(&text);
}

TEST(a_value_becomes_a_file_or_a_fault) {
  Json *map = json_map();
  Fault fault = {0};
  const char *path = temp_path("value.json");
  size_t n_bytes;
  json_put_int(map, "a", 1);
  assert_int_equal(json_put_file(map, path, PUBLISH_REPLACE, &fault), ERR_OK);
  char *text = temp_read(path, &n_bytes);
  assert_int_equal(n_bytes, strlen("{\n  \"a\": 1\n}\n"));
  assert_memory_equal(text, "{\n  \"a\": 1\n}\n", n_bytes);
  free(text);
  json_put(map, "lost", NULL);
  assert_int_equal(json_put_file(map, path, PUBLISH_REPLACE, &fault), ERR_MEMORY);
  json_free(map);
}
