# runner. `make help` lists the targets. Everything is built in build/, nothing in the tree.
#
#   REAL=float|double   the floating type of the build; each has its own directory
#   CC, CFLAGS, OPT     compiler, further flags, optimisation; a change rebuilds what it must
#   BUILD=dir           another place to build in
#   V=1                 show whole commands
#   EDIT=               build without libedit
#   ARGS="epochs=2"     arguments of the script that `make run` runs

BUILD ?= build
REAL  ?= float
OPT   ?= -O3
ARGS  ?=
ifeq ($(origin CC),default)
CC := gcc
endif
MAKEFLAGS += -r
out := $(BUILD)/$(REAL)

ifeq ($(filter $(REAL),float double),)
$(error REAL=$(REAL): allowed are float and double)
endif

# Debian keeps headers and libraries of several BLIS builds apart; the serial one is used.
multiarch = $(eval multiarch := $(shell $(CC) -print-multiarch 2>/dev/null))$(multiarch)
# The prompt edits lines with libedit where it is there; EDIT= builds without it.
ifeq ($(origin EDIT),undefined)
EDIT := $(shell $(CC) -include histedit.h -E -x c -o /dev/null /dev/null 2>/dev/null && echo yes)
endif
edit_libs = $(if $(EDIT),-l:libedit.a -l:libbsd.a -l:libmd.a -l:libtinfo.a)
cppflags  = $(if $(EDIT),-DHAVE_LIBEDIT) -Isrc -I$(out)/gen -D_GNU_SOURCE $(if $(filter double,$(REAL)),-DREAL_DOUBLE) \
            -isystem /usr/include/lua5.4 -isystem /usr/include/$(multiarch)/blis-serial $(CPPFLAGS)
warnings := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
cflags   := -std=c11 $(OPT) -g -ffp-contract=off -fno-math-errno -fno-trapping-math -fopenmp $(warnings) $(CFLAGS)
libs      = -l:liblua5.4.a -L/usr/lib/$(multiarch)/blis-serial -l:libblis.a \
            -l:libjansson.a -l:libsqlite3.a -l:libmd.a $(edit_libs) -l:libpng16.a \
            -l:libturbojpeg.a -lz -lm -ldl -lpthread $(LDLIBS)

# Files in kernel/vector/ are compiled once per SIMD level. Their loops are aligned: where a
# short one falls otherwise, by an edit elsewhere, doubles its time.
levels       := plain avx2 avx512
flags_vector := -falign-functions=64 -falign-loops=32
flags_plain  :=
flags_avx2   := -mavx2 -mfma
flags_avx512 := -mavx512f -mavx512vl -mavx512bw -mavx512dq -mfma -mprefer-vector-width=512

vector  := $(wildcard src/kernel/vector/*.c)
sources := $(filter-out src/cli/main.c,$(wildcard src/*/*.c))
objects := $(sources:src/%.c=$(out)/obj/%.o) \
           $(foreach l,$(levels),$(vector:src/%.c=$(out)/obj/$(l)/%.o)) \
           $(out)/obj/gen/lua_lib.o
tests   := $(patsubst tests/%.c,$(out)/tests/%,$(wildcard tests/*/test_*.c))
benches := $(patsubst scripts/bench/%.c,$(out)/bench/%,$(wildcard scripts/bench/*.c))
lua_lib := $(wildcard src/lua/lib/*.lua)

# All cores, unless the caller of make chose.
jobs   = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc 2>/dev/null || echo 2))
# The short name of a step, unless V=1 or -s; in front of its command.
silent = $(findstring s,$(firstword -$(MAKEFLAGS)))
say    = $(if $(V),,$(if $(silent),@,@echo '  $(1)' && ))
deps   = CC='$(CC)' CPPFLAGS='$(cppflags)' scripts/install-deps

build_tests = $(deps) test && for real in double float; do \
    $(MAKE) --no-print-directory $(jobs) REAL=$$real binary test-programs || exit 1; done

.DEFAULT_GOAL := build
.PHONY: build all run test test-long asan ubsan tsan valgrind cover fuzz bench check analyze clean help
.PHONY: gcc-analyzer clang-tidy cppcheck binary library objects test-programs fuzz-programs bench-programs force
.DELETE_ON_ERROR:

# -- what people call ------------------------------------------------------------------

build: ## build build/runner (the default target)
	@$(MAKE) --no-print-directory $(jobs) binary
all: build

run: ## install what is missing, build, and train on Fashion-MNIST; ARGS="epochs=2"
	@$(deps) run
	@$(MAKE) --no-print-directory build
	@$(BUILD)/runner experiments/fashion_mnist.lua $(ARGS)

test: ## build float and double, run all tests of both
	+@$(build_tests)
	@tests/run $(BUILD)/float $(BUILD)/double

test-long: ## the same with exhaustive checks (all floats through the vector mathematics)
	+@$(build_tests)
	@LONG=1 LIMIT=7200 tests/run $(BUILD)/float $(BUILD)/double

# Debian's python, whatever stands first in PATH: it is the one that has python3-torch.
bench: ## training steps against PyTorch's, evaluation, workers, trials, planning, optimizers, nets of images and of sequences; CASE=planning BENCH_THREADS="1 2" BENCH_JSON=path
	@$(deps) run bench
	@$(MAKE) --no-print-directory $(jobs) REAL=float binary bench-programs
	@for case in $(or $(CASE),compare evaluate workers trials planning optimizers images sequences); do \
	  /usr/bin/python3 -B scripts/bench/$$case.py $(BUILD)/float || exit 1; done

check: ## floors, circles, doors, lengths, words; no warning of gcc and clang; no finding of analyzers
	@$(deps) check
	@failed=0; \
	for cc in gcc clang; do for real in float double; do \
	  if $(MAKE) --no-print-directory -k -s $(jobs) CC=$$cc REAL=$$real CFLAGS=-Werror \
	    BUILD='$(BUILD)/check/'$$cc objects; \
	  then echo "check: warnings of $$cc, real = $$real: none"; else failed=1; fi; \
	done; done; scripts/check-tree '$(BUILD)/check/gcc/float/obj' || failed=1; \
	$(MAKE) --no-print-directory analyze || failed=1; exit $$failed

analyze: ## what gcc -fanalyzer, clang-tidy and cppcheck find
	@$(deps) check
	@failed=0; for tool in gcc-analyzer clang-tidy cppcheck; do \
	  if $(MAKE) --no-print-directory -k -s $(jobs) $$tool; \
	  then echo "analyze: $$tool: no finding"; else failed=1; fi; \
	done; exit $$failed

# Analyzers of src/, each alone: `make clang-tidy`. .clang-tidy says what that one looks for.
# gcc's does not count references and takes lists for leaks: those are looked for by the
# address sanitizer and tests/lua/test_torture.c.
analyzed  = $(sources) $(vector) src/cli/main.c
tidy_args = $(cppflags) -DSIMD_LEVEL=plain -DSIMD_plain -DRUNNER_FLAGS=0 -std=c11 -fopenmp
gcc-analyzer:
	@$(MAKE) --no-print-directory CC=gcc REAL=float BUILD=$(BUILD)/check/analyzer OPT=-O1 \
	  CFLAGS='-Werror -fanalyzer -Wno-analyzer-malloc-leak -Wno-analyzer-file-leak' library
clang-tidy:
	@printf '%s\n' $(analyzed) | xargs -P $(or $(JOBS),2) -n 8 \
	  sh -c 'clang-tidy --quiet "$$@" -- $(tidy_args) 2>/dev/null' clang-tidy
cppcheck:
	@cppcheck -q -j $(or $(JOBS),2) --enable=warning,performance,portability --inline-suppr \
	  --error-exitcode=1 --std=c11 -Isrc -D_GNU_SOURCE -DSIMD_LEVEL=plain -DSIMD_plain src

# Builds of their own, in $(BUILD)/<target>: `make asan REAL=double`, `make tsan ONLY=par`.
# WATCHED_HEAP: memory is given back at once, so that a use after it is seen.
watched = $(MAKE) --no-print-directory $(jobs) BUILD=$(BUILD)/$@ OPT=-O1 REAL=$(REAL)
# tests/run over that build, slowed down; INSTRUMENTED says so to tests that measure memory.
run_watched = INSTRUMENTED=$@ LIMIT=1800 tests/run $(BUILD)/$@/$(REAL)
set_asan  := CC=gcc CPPFLAGS='-DWATCHED_HEAP -DRUNNER_CHECKED' CFLAGS='-fsanitize=address -fno-omit-frame-pointer'
set_ubsan := CC=gcc CFLAGS='-fsanitize=undefined,float-cast-overflow -fno-sanitize-recover=all'
set_tsan  := CC=clang CPPFLAGS=-DWATCHED_HEAP CFLAGS='-fsanitize=thread -Wno-pass-failed'

asan ubsan tsan: ## all tests under the address, undefined or thread sanitizer
	@$(deps) test sanitize
	+@$(watched) $(set_$@) binary test-programs
	@ASAN_OPTIONS=allocator_may_return_null=1:abort_on_error=1 \
	  UBSAN_OPTIONS=print_stacktrace=1:abort_on_error=1 \
	  TSAN_OPTIONS=ignore_noninstrumented_modules=1:allocator_may_return_null=1:abort_on_error=1 \
	  $(run_watched)

valgrind: ## a short set of tests under valgrind, which sees into the libraries too
	@$(deps) test sanitize
	+@$(watched) CPPFLAGS=-DWATCHED_HEAP binary test-programs
	@RUNNER_SIMD=avx2 ONLY='$(or $(ONLY),$(valgrind_set))' UNDER='$(valgrind)' $(run_watched)
# What is still reachable at the end, in pools of BLIS and of threads, is no leak.
valgrind := valgrind -q --error-exitcode=99 --leak-check=full \
            --errors-for-leak-kinds=definite --show-leak-kinds=definite
valgrind_set := json idx safetensors dataset trial test_net test_fit test_step test_data.lua

cover: ## the share of lines of src/ that the tests reach, and the files with the least
	@$(deps) test cover
	+@$(watched) CFLAGS=--coverage binary test-programs
	@find $(BUILD)/cover -name '*.gcda' -delete
	@$(run_watched)
	@scripts/cover $(BUILD)/cover/$(REAL)

fuzz: ## each target of tests/fuzz under libFuzzer; FUZZ_SECONDS=300 ONLY=json
	@$(deps) test sanitize
	+@$(watched) CC=clang CPPFLAGS='-DWATCHED_HEAP -DFUZZING' LDFLAGS=-fsanitize=fuzzer \
	  CFLAGS='-fsanitize=fuzzer-no-link,address,undefined,float-cast-overflow -Wno-pass-failed' fuzz-programs
	@scripts/fuzz $(BUILD)/fuzz/$(REAL)

clean: ## remove what was built
	rm -rf $(BUILD)

help: ## this list
	@awk -F ':.*## ' '/^[a-z -]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

# -- the program -----------------------------------------------------------------------

binary: $(out)/runner
	@if [ '$(REAL)' = float ]; then ln -sfn float/runner $(BUILD)/runner; fi

# At a fixed address, where nothing is to be relocated at every start; sanitizers want none.
fixed := $(if $(findstring -fsanitize,$(CFLAGS)),,-no-pie)
$(out)/runner: $(out)/obj/cli/main.o $(out)/librunner.a
	$(call say,link $@)$(CC) $(cflags) $(fixed) $(LDFLAGS) -o $@ $^ $(libs)

$(out)/librunner.a: $(objects) $(out)/objects.list
	@rm -f $@
	@$(AR) qcs $@ $(objects)

$(out)/obj/%.o: src/%.c $(out)/flags.list | $(out)/headers.ok
	@mkdir -p $(@D)
	$(call say,cc $<)$(CC) $(cppflags) $(cflags) -MMD -MP -c -o $@ $<

# How it was built stands in the records of runs.
$(out)/obj/lua/run_record.o: cppflags += -DRUNNER_FLAGS='"$(CC) $(cflags)"'

define level_rule
$(out)/obj/$(1)/%.o: src/%.c $(out)/flags.list | $(out)/headers.ok
	@mkdir -p $$(@D)
	$$(call say,cc $$< ($(1)))$$(CC) $$(cppflags) $$(cflags) $$(flags_vector) $$(flags_$(1)) -DSIMD_LEVEL=$(1) -DSIMD_$(1) -MMD -MP -c -o $$@ $$<
endef
$(foreach l,$(levels),$(eval $(call level_rule,$(l))))

# The Lua part of the library, compiled and embedded; flags of a sanitizer are not for the tool.
$(out)/gen/embed-lua: scripts/embed-lua.c $(out)/flags.list | $(out)/headers.ok
	@mkdir -p $(@D)
	@$(CC) $(cppflags) -std=c11 -Wall -Wextra -o $@ $< -l:liblua5.4.a -lm -ldl
$(out)/gen/lua_lib.c: $(lua_lib) $(out)/gen/embed-lua $(out)/lua_lib.list
	@$(out)/gen/embed-lua $(lua_lib) > $@
$(out)/obj/gen/lua_lib.o: $(out)/gen/lua_lib.c $(out)/flags.list | $(out)/headers.ok
	@mkdir -p $(@D)
	$(call say,cc $<)$(CC) $(cppflags) $(cflags) -MMD -MP -c -o $@ $<

# Are the libraries' headers there? A sentence with the package's name, if not.
$(out)/headers.ok: $(out)/flags.list
	@$(deps) --probe
	@touch $@

# Files that hold a line of text and change only when it does: other flags rebuild all,
# a file that came or went rebuilds what lists it.
flags_text   = $(CC) $(cppflags) $(cflags) $(flags_vector)
objects_text = $(objects)
lua_lib_text = $(lua_lib)
$(out)/%.list: force
	@mkdir -p $(@D)
	@printf '%s\n' '$($*_text)' | cmp -s - $@ || printf '%s\n' '$($*_text)' > $@

# -- C tests: tests/<floor>/test_*.c, each a program of its own --------------------------

test-programs: $(tests)
	@:
fuzz-programs: $(filter $(out)/tests/fuzz/%,$(tests))
	@:

$(out)/tests/%: $(out)/tests/%.o $(out)/librunner.a
	$(call say,link $@)$(CC) $(cflags) $(LDFLAGS) -o $@ $< $(out)/librunner.a -lcmocka $(libs)

$(out)/tests/%.o: tests/%.c $(out)/flags.list | $(out)/headers.ok
	@mkdir -p $(@D)
	$(call say,cc $<)$(CC) $(cppflags) -Itests $(cflags) -O1 -MMD -MP -c -o $@ $<

.PRECIOUS: $(out)/tests/%.o

# -- programs of the bench; the peaks are those of the machine that builds them -----------

bench-programs: $(benches)
	@:

$(out)/bench/%: $(out)/bench/%.o $(out)/librunner.a
	$(call say,link $@)$(CC) $(cflags) $(LDFLAGS) -o $@ $< $(out)/librunner.a $(libs)

$(out)/bench/peaks.o: native := -O3 -march=native -ffp-contract=fast
$(out)/bench/%.o: scripts/bench/%.c $(out)/flags.list | $(out)/headers.ok
	@mkdir -p $(@D)
	$(call say,cc $<)$(CC) $(cppflags) $(cflags) $(native) -MMD -MP -c -o $@ $<

.PRECIOUS: $(out)/bench/%.o

# All objects of src/; those of tests and bench too; without linking.
library: $(out)/obj/cli/main.o $(objects)
objects: $(out)/obj/cli/main.o $(objects) $(tests:=.o) $(benches:=.o)

-include $(shell find $(out) -name '*.d' 2>/dev/null)
