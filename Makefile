# One build for s3d, s3ctl, the nginx module and the tests.
#
#   make run      install what is missing, build, run a server (README.md)
#   make test     install what is missing, build, run every test
#   make fuzz     run every fuzz target for FUZZ_SECONDS (5) each
#   make          build s3d, s3ctl and the module
#   make VARIANT=asan|tsan ...   the same with sanitizers
#
# Objects go to build/$(VARIANT); sources generated from *.proto to build/gen.

VARIANT ?= release
BUILD   ?= build/$(VARIANT)
GEN     := build/gen

CC       ?= gcc
WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
CFLAGS.release := -O2 -g
CFLAGS.asan    := -O1 -g1 -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
CFLAGS.tsan    := -O1 -g1 -fsanitize=thread -fno-omit-frame-pointer
CFLAGS.fuzz    := -O1 -g1 -fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
CFLAGS.cov     := -O0 -g --coverage

PACKAGES := libprotobuf-c libuv libisal jansson libconfig libxml-2.0 openssl libcurl
S3D_CFLAGS := -std=gnu11 -D_GNU_SOURCE -pthread $(WARNINGS) $(CFLAGS.$(VARIANT)) \
    -Ibackend -I$(GEN) -Ingx_s3_module/core -I/usr/include/liberasurecode \
    $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null) $(CFLAGS)
S3D_LIBS := -pthread -lleveldb -lerasurecode -lhiredis \
    $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -lz -lm -ldl $(LDFLAGS)

# Each folder of backend/ is an archive; what it may use is listed here, and
# nothing else: dependencies point one way.
FOLDERS := base settings wire http io extent erasure placement blob kv meta archive rebuild redis events purge crypt policy iam oidc care hot s3 server transfer doctor
uses.base      :=
uses.settings  := base
uses.wire      := gen
uses.http      := base
uses.core      := wire gen
uses.io        := base
uses.extent    := io base
uses.erasure   := base
uses.placement := base
uses.blob      := placement erasure extent io base gen
uses.kv        := io base
uses.meta      := kv io base gen
uses.redis     := base
uses.events    := redis meta kv io base gen
uses.purge     := redis settings base
uses.archive   := meta kv blob placement erasure extent io base gen
uses.rebuild   := archive meta kv blob placement erasure extent io base gen
uses.crypt     := base gen
uses.policy    := base
uses.iam       := policy meta kv io base gen
uses.oidc      := base
uses.care      := meta kv blob placement erasure extent io base gen
uses.hot       := wire base gen
uses.s3        := oidc iam policy crypt hot events redis meta kv blob placement erasure extent io wire http base gen
uses.transfer  := base
uses.server    := s3 care rebuild archive oidc iam policy crypt hot events redis meta kv blob placement erasure extent io wire http settings base gen
uses.doctor    := server $(uses.server)

PROTOS := backend/wire/wire.proto backend/blob/layout.proto backend/meta/records.proto
PB     := wire layout records
PB_H   := $(PB:%=$(GEN)/%.pb-c.h)

.DEFAULT_GOAL := all
.PHONY: all module run test unit fuzz fuzzers format lint clean deps bench bench-list bench-static bench-connections bench-uring bench-roundtrip bench-durability generated print-flags
.SECONDARY:
.DELETE_ON_ERROR:

all: $(BUILD)/s3d $(BUILD)/s3ctl module

# --- generated ---------------------------------------------------------------
$(GEN)/%.pb-c.c $(GEN)/%.pb-c.h: $(PROTOS)
	@mkdir -p $(GEN)
	protoc-c --proto_path=backend/wire --proto_path=backend/blob \
	    --proto_path=backend/meta --c_out=$(GEN) $*.proto

generated: $(PB_H)

print-flags:
	@echo $(filter-out -Werror,$(S3D_CFLAGS))

$(BUILD)/gen/%.o: $(GEN)/%.c $(PB_H)
	@mkdir -p $(@D)
	@echo "  CC  $@"
	@$(CC) $(S3D_CFLAGS) -c -o $@ $<

$(BUILD)/libgen.a: $(PB:%=$(BUILD)/gen/%.pb-c.o)
	@rm -f $@; ar rcs $@ $^

# --- archives ----------------------------------------------------------------
$(BUILD)/backend/%.o: backend/%.c $(PB_H)
	@mkdir -p $(@D)
	@echo "  CC  $@"
	@$(CC) $(S3D_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/core/%.o: ngx_s3_module/core/%.c $(PB_H)
	@mkdir -p $(@D)
	@echo "  CC  $@"
	@$(CC) $(S3D_CFLAGS) -MMD -MP -c -o $@ $<

sources = $(filter-out %/main.c,$(wildcard backend/$(1)/*.c))
define archive
$(BUILD)/lib$(1).a: $(patsubst %.c,$(BUILD)/%.o,$(call sources,$(1)))
	@rm -f $$@; ar rcs $$@ $$^
endef
$(foreach folder,$(FOLDERS),$(eval $(call archive,$(folder))))

$(BUILD)/libcore.a: $(patsubst ngx_s3_module/core/%.c,$(BUILD)/core/%.o,$(wildcard ngx_s3_module/core/*.c))
	@rm -f $@; ar rcs $@ $^

archives = $(patsubst %,$(BUILD)/lib%.a,$(1) $(uses.$(1)))

# --- programs ----------------------------------------------------------------
$(BUILD)/s3d: $(BUILD)/backend/server/main.o $(call archives,server)
	@echo "  CC  $@"
	@$(CC) $(S3D_CFLAGS) -o $@ $^ $(S3D_LIBS)

CTL := $(patsubst %.c,$(BUILD)/%.o,$(wildcard backend/ctl/*.c))
$(BUILD)/s3ctl: $(CTL) $(BUILD)/libtransfer.a $(BUILD)/libpurge.a $(call archives,doctor)
	@echo "  CC  $@"
	@$(CC) $(S3D_CFLAGS) -o $@ $^ $(S3D_LIBS)

# The dynamic module, against the sources of Debian's nginx-dev.
module: $(BUILD)/ngx_http_s3_module.so
SHARED := $(wildcard backend/http/* backend/hot/region.* backend/hot/question.*) backend/base/slice.c backend/base/base.h
$(BUILD)/ngx_http_s3_module.so: config config.make tools/build-module tools/embed $(shell find ngx_s3_module backend/wire console -type f) $(SHARED)
	tools/build-module $(VARIANT) $(BUILD)

# --- unit tests: tests/unit/<folder>_<what>_test.c ---------------------------
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/*_test.c))
folder_of = $(firstword $(subst _, ,$(1)))
.SECONDEXPANSION:
# What is tested is compiled as ever; a test itself, sanitized, takes the
# compiler four times as long with -O1.
UNIT_CFLAGS.asan := -O0
UNIT_CFLAGS.tsan := -O0
$(BUILD)/unit/%: tests/unit/%.c $$(call archives,$$(call folder_of,$$*))
	@mkdir -p $(@D)
	@echo "  CC  $@"
	@$(CC) $(S3D_CFLAGS) $(UNIT_CFLAGS.$(VARIANT)) -MMD -MP -Itests/unit -o $@ $< $(filter %.o %.a,$^) -lcmocka $(S3D_LIBS)

# LevelDB's files on the simulated disk.
$(BUILD)/unit/sim_env.o: tests/unit/sim_env.cc tests/unit/sim_env.h backend/io/io.h
	@mkdir -p $(@D)
	@echo "  CXX $@"
	@$(CXX) -std=c++17 -pthread -Wall -Wextra -Werror $(CFLAGS.$(VARIANT)) -Ibackend -Itests/unit -c -o $@ $<

ON_SIMULATED_DISK := $(BUILD)/unit/kv_leveldb_crash_test $(BUILD)/unit/s3_crash_test
$(ON_SIMULATED_DISK): $(BUILD)/unit/sim_env.o
$(ON_SIMULATED_DISK): S3D_LIBS += -lstdc++

unit: $(UNIT)
	@tools/unit $(UNIT)

# --- fuzz targets: tests/fuzz/<folder>_<what>_fuzz.c, of clang's libFuzzer ----
FUZZ_SECONDS ?= 5
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/*_fuzz.c))
$(BUILD)/fuzz/%: tests/fuzz/%.c $$(call archives,$$(call folder_of,$$*)) $(BUILD)/libwire.a $(BUILD)/libgen.a
	@mkdir -p $(@D)
	@echo "  CC  $@"
	@$(CC) $(S3D_CFLAGS) -MMD -MP -Itests/fuzz -fsanitize=fuzzer -o $@ $< $(filter %.a,$^) $(S3D_LIBS)

fuzz:
	$(MAKE) VARIANT=fuzz CC=clang fuzzers
	FUZZ_SECONDS=$(FUZZ_SECONDS) tools/fuzz

fuzzers: $(FUZZERS)

# --- what the benchmarks need beside s3d ---------------------------------------
$(BUILD)/bench/%: bench/%.c $(call archives,server)
	@mkdir -p $(@D)
	@echo "  CC  $@"
	@$(CC) $(S3D_CFLAGS) -o $@ $< $(filter %.a,$^) $(S3D_LIBS)

$(BUILD)/bench/uring: S3D_LIBS += -luring

# --- whole commands ----------------------------------------------------------
run:
	tools/install-deps run
	$(MAKE) all
	tools/run

test:
	tools/install-deps test
	tools/test

deps:
	tools/install-deps test

bench: all
	tools/install-deps test
	build/venv/bin/python bench/run.py $(BENCH)

bench-list: all $(BUILD)/bench/metadata
	tools/install-deps test
	build/venv/bin/python bench/list.py $(BENCH)

bench-static: all
	tools/install-deps test
	build/venv/bin/python bench/static.py $(BENCH)

bench-connections: all
	tools/install-deps test
	build/venv/bin/python bench/connections.py $(BENCH)

bench-roundtrip: $(BUILD)/bench/roundtrip
	$(BUILD)/bench/roundtrip $(BENCH)

bench-uring: $(BUILD)/bench/uring # needs liburing-dev
	$(BUILD)/bench/uring $(BENCH)

bench-durability: all $(BUILD)/bench/metadata
	tools/install-deps test
	build/venv/bin/python bench/durability.py $(BENCH)

format:
	clang-format -i $(shell git ls-files 'backend/*.c' 'backend/*.h' 'tests/*.c')

lint:
	tools/lint

clean:
	rm -rf build

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
