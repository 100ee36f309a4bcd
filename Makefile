# runner: `make help` lists the targets. Everything is built in build/, nothing in the tree.

BUILD  ?= build
REAL   ?= float
CC     ?= gcc
OPT    ?= -O3
out    := $(BUILD)/$(REAL)

CPPFLAGS += -Isrc -I$(out)/gen -D_GNU_SOURCE $(if $(filter double,$(REAL)),-DREAL_DOUBLE) \
            -I/usr/include/lua5.4 -isystem /usr/include/$(shell $(CC) -dumpmachine)/blis-serial
CFLAGS   += -std=c11 $(OPT) -g -ffp-contract=off -fno-math-errno -fopenmp \
            -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
LDLIBS   += -l:liblua5.4.a -L/usr/lib/$(shell $(CC) -dumpmachine)/blis-serial -l:libblis.a \
            -l:libjansson.a -lz -lm -ldl -lpthread

# Files in kernel/vector/ are compiled once per SIMD level.
levels       := plain avx2 avx512
flags_plain  :=
flags_avx2   := -mavx2 -mfma
flags_avx512 := -mavx512f -mavx512vl -mavx512bw -mavx512dq -mfma -mprefer-vector-width=512

vector  := $(wildcard src/kernel/vector/*.c)
sources := $(filter-out src/cli/main.c,$(wildcard src/*/*.c))
objects := $(sources:src/%.c=$(out)/obj/%.o) \
           $(foreach l,$(levels),$(vector:src/%.c=$(out)/obj/$(l)/%.o))

$(out)/runner: $(out)/obj/cli/main.o $(objects)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(out)/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

define level_rule
$(out)/obj/$(1)/%.o: src/%.c
	@mkdir -p $$(@D)
	$$(CC) $$(CPPFLAGS) $$(CFLAGS) $$(flags_$(1)) -DSIMD_LEVEL=$(1) -DSIMD_$(1) -MMD -MP -c -o $$@ $$<
endef
$(foreach l,$(levels),$(eval $(call level_rule,$(l))))

# C tests: tests/<floor>/test_*.c, each a program of its own.
tests := $(patsubst tests/%.c,$(out)/tests/%,$(wildcard tests/*/test_*.c))
$(out)/tests/%: tests/%.c $(wildcard tests/*.h) $(objects)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests $(CFLAGS) $(LDFLAGS) -MMD -MP -o $@ $< $(objects) $(LDLIBS)

-include $(shell find $(out) -name '*.d' 2>/dev/null)
