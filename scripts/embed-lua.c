/* embed-lua.c: the Lua part of the library, compiled, as C source: `embed-lua
 * FILE.lua...` writes the table `lua_lib` of lua/session.h to stdout. So the program is
 * one file and starts at once: compiling took most of the time until the prompt.
 *
 * Made and run by the build, with the Lua that the program is linked with. Line numbers
 * and names are kept, for errors. A module's name is its file's, without directory and
 * ".lua". */
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Written as it comes, some bytes a line; *ctx counts them. */
static int print_bytes(lua_State *L, const void *bytes, size_t n_bytes, void *ctx) {
  (void)L;
  size_t *n = ctx;
  for (size_t i = 0; i < n_bytes; i++)
    printf("%u,%s", ((const unsigned char *)bytes)[i], ++*n % 24 ? "" : "\n");
  return 0;
}

static void module_name(char name[64], const char *path) {
  const char *slash = strrchr(path, '/');
  snprintf(name, 64, "%s", slash ? slash + 1 : path);
  char *end = strrchr(name, '.');
  if (end) *end = 0;
}

/* luaL_loadfile would call the chunk by its path; errors shall say the module's name,
 * and tracebacks know it for the library's (LIBRARY_CHUNK in lua/session.h). */
static void load(lua_State *L, const char *path) {
  static char text[1 << 20];
  char name[64], chunk[80];
  module_name(name, path);
  snprintf(chunk, sizeof chunk, "=[runner] %s", name);
  FILE *file = fopen(path, "rb");
  size_t n = file ? fread(text, 1, sizeof text, file) : 0;
  if (!file || ferror(file) || n == sizeof text || fclose(file)) {
    fprintf(stderr, "embed-lua: %s cannot be read\n", path);
    exit(1);
  }
  if (luaL_loadbufferx(L, text, n, chunk, "t")) {
    fprintf(stderr, "embed-lua: %s: %s\n", path, lua_tostring(L, -1));
    exit(1);
  }
}

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  if (!L) return 1;
  printf("/* Made by scripts/embed-lua.c from src/lua/lib; not to be edited. */\n"
         "#include \"lua/session.h\"\n");
  for (int i = 1; i < argc; i++) {
    size_t n = 0;
    load(L, argv[i]);
    printf("\nstatic const unsigned char code_%d[] = { /* %s */\n", i, argv[i]);
    lua_dump(L, print_bytes, &n, 0);
    printf("0};\n");
    lua_pop(L, 1);
  }
  printf("\nconst struct LuaLib lua_lib[] = {\n");
  for (int i = 1; i < argc; i++) {
    char name[64];
    module_name(name, argv[i]);
    printf("  {\"%s\", code_%d, sizeof code_%d - 1},\n", name, i, i);
  }
  printf("  {0, 0, 0},\n};\n");
  lua_close(L);
  return fflush(stdout) || ferror(stdout);
}
