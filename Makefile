# Tripod. `make` builds everything into build/; `make B=DIR` into DIR, so that two builds can stand side by side.
#
#   make              the tripod program, the conformance runner and the tools, in $(B)/bin
#   make check        quick tests (make check T=tsdb: only those whose name contains "tsdb")
#   make check-asan   the same under ASan + UBSan in $(B)-asan, check-tsan under TSan in $(B)-tsan
#   make check-build  what check needs, without running it (B and MODE as there): ./test compiles ahead with it
#   make fuzz         each fuzzer for FUZZ_S seconds (T=NAME: those so named), made by clang in $(B)-fuzz
#   make fuzz-build   what fuzz needs, without running it; FUZZ_BUILD="all fuzzers": all programs but the tests by clang, too
#   make bench        Tripod beside the peers that are installed
#   make arch         checks who includes whom
#   make format       clang-format;  make web: the pages, make check-web: their types and tests;  make install

.DEFAULT_GOAL := all
B       ?= build
CC      ?= gcc
CXX     ?= g++
MODE    ?= release
PREFIX  ?= /usr/local
WEB     ?= 1
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin CXX),default)
CXX := g++
endif

PKGS := libevent_pthreads libevent openssl libzstd zlib yaml-0.1 libcjson re2 libevent_openssl
WARN := -Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wundef -Wvla
CWARN := $(WARN) -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
HARD := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE -fstack-clash-protection
OPT_release := -O2 -g $(HARD)
OPT_debug   := -O0 -g
OPT_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OPT_tsan    := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
LD_release  := -pie -Wl,-z,relro,-z,now
LD_asan     := -fsanitize=address,undefined
LD_tsan     := -fsanitize=thread
# A hundred test programs are linked: gold takes a third of ld's time. (With clang's ASan, which is no shared library, it warns.)
LD_TESTS    := $(if $(findstring gcc,$(CC)),$(if $(shell command -v ld.gold),-fuse-ld=gold))

CPPFLAGS += -I. -I$(B)/gen -D_GNU_SOURCE $(shell pkg-config --cflags-only-I $(PKGS) 2>/dev/null)
CFLAGS_   = -std=c11 -pthread $(CWARN) $(OPT_$(MODE)) $(CFLAGS)
CXXFLAGS_ = -std=c++17 -pthread $(WARN) -fno-exceptions $(OPT_$(MODE)) $(CXXFLAGS)
LDFLAGS_  = -pthread $(LD_$(MODE)) $(LDFLAGS)
LDLIBS    = $(shell pkg-config --libs $(PKGS) 2>/dev/null) -llmdb -lsnappy -lroaring -lcrypt -lm -lstdc++

ROOMS  := base base/template net store tsdb logstore query/exec query/vector query/promql query/logql query/api query/api/loki collector collector/push collector/logs collector/files collector/scrape \
          collector/host web alerting/template alerting/rules
SRC    := $(foreach r,$(ROOMS),$(wildcard $(r)/*.c))
SRCXX  := $(foreach r,$(ROOMS),$(wildcard $(r)/*.cc))
OBJ    := $(SRC:%.c=$(B)/%.o) $(SRCXX:%.cc=$(B)/%.o)
CMD    := $(wildcard cmd/*.c)
TESTS  := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/*/test_*.c) $(wildcard tests/query/*/test_*.c) $(wildcard tests/collector/*/test_*.c))
CONF   := $(wildcard tests/conformance/*.c)
BENCH  := $(patsubst bench/%.c,$(B)/bin/%,$(wildcard bench/bench_*.c))
FUZZ   := $(patsubst fuzz/%.c,$(B)/fuzz/%,$(wildcard fuzz/fuzz_*.c))
TOOLS  := $(patsubst tests/tools/%.c,$(B)/bin/%,$(wildcard tests/tools/*.c))

include web/web.mk

all: $(if $(CMD),$(B)/bin/tripod) $(if $(CONF),$(B)/bin/conformance) $(BENCH) $(TOOLS)

lib: $(B)/libtripod.a

# Quiet: only what is wrong is printed; V=1 shows the commands.
Q := $(if $(V),,@)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_) -MMD -MP -c -o $@ $<

$(B)/%.o: %.cc
	@mkdir -p $(@D)
	$(Q)$(CXX) $(CPPFLAGS) $(CXXFLAGS_) -MMD -MP -c -o $@ $<

$(B)/libtripod.a: $(OBJ)
	@rm -f $@
	@ar rcs $@ $(OBJ)

$(B)/cmd/%.o: CPPFLAGS += -DTRIPOD_VERSION='"$(VERSION)"'

$(B)/bin/tripod: $(CMD:%.c=$(B)/%.o) $(B)/libtripod.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_) -o $@ $^ $(LDLIBS)

$(B)/bin/conformance: $(CONF:%.c=$(B)/%.o) $(B)/libtripod.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_) -o $@ $^ $(LDLIBS)

$(B)/bin/bench_%: $(B)/bench/bench_%.o $(B)/libtripod.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_) -o $@ $^ $(LDLIBS)

$(TOOLS): $(B)/bin/%: $(B)/tests/tools/%.o $(B)/libtripod.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_) -o $@ $^ $(LDLIBS)

$(B)/tests/%: $(B)/tests/%.o $(B)/libtripod.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_) $(LD_TESTS) -o $@ $^ -lcmocka $(LDLIBS)

tests: $(TESTS)

check-build: tests $(B)/bin/tripod $(TOOLS)
check: check-build
	@B=$(B) MODE=$(MODE) scripts/run-tests $(T)

check-asan:
	+$(MAKE) B=$(B)-asan MODE=asan WEB=$(WEB) check
check-tsan:
	+$(MAKE) B=$(B)-tsan MODE=tsan WEB=$(WEB) check

# --- fuzzers: clang and libFuzzer -----------------------------------------------------------------
FUZZ_S ?= 20
FUZZ_OPT := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -DFUZZING
FUZZ_BUILD ?= fuzzers
fuzz-build:
	+$(MAKE) B=$(B)-fuzz CC=clang CXX=clang++ MODE=fuzz OPT_fuzz="$(FUZZ_OPT)" LD_fuzz="-fsanitize=address,undefined" $(FUZZ_BUILD)
fuzz: fuzz-build
	@B=$(B)-fuzz FUZZ_S=$(FUZZ_S) scripts/run-fuzzers $(T)
fuzzers: $(FUZZ)
$(B)/fuzz/fuzz_%: $(B)/fuzz/fuzz_%.o $(B)/libtripod.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

bench: all
	@B=$(B) bench/run
bench-logs: all
	@B=$(B) bench/logs $(BENCH_LOGS)

arch:
	@scripts/arch

format:
	@command -v clang-format >/dev/null || { echo "make format needs clang-format (apt-get install clang-format)" >&2; exit 1; }
	@git ls-files '*.c' '*.h' '*.cc' | xargs clang-format -i

install: $(B)/bin/tripod
	install -D -m 755 $(B)/bin/tripod $(DESTDIR)$(PREFIX)/bin/tripod

clean:
	rm -rf $(B)

.PHONY: all lib tests check check-build check-asan check-tsan fuzz fuzz-build fuzzers bench bench-logs arch format install clean web
.SECONDARY:
-include tests/tools/tools.mk
-include $(shell find $(B) -name '*.d' 2>/dev/null)
