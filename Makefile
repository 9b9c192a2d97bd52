# Parcelpost. `make run` builds and starts a server to try; `make check` runs every test; README.md has the rest.
# Variables: BUILD=dir (default build), SANITIZE=1 (ASan+UBSan), CC=gcc|clang, ONLY="base mail" (just these folders of src/).
BUILD ?= build
CC = gcc
PREFIX ?= /usr
SANITIZE ?=
ONLY ?= $(filter-out programs,$(notdir $(wildcard src/*)))
PACKAGES = openssl sqlite3 libcares opendkim libcrypt libconfuse libseccomp libidn2 libcap-ng libxxhash

WARNINGS = -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wundef \
	-Wpointer-arith -Wwrite-strings -Wold-style-definition -Wimplicit-fallthrough
HARDENING = -fstack-protector-strong -fPIE
OPTIMISE = -O2 -D_FORTIFY_SOURCE=2
ifneq ($(SANITIZE),)
OPTIMISE = -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif
CPPFLAGS += -D_GNU_SOURCE -Isrc -I$(BUILD)/generated
CFLAGS += -std=c17 -g $(OPTIMISE) $(WARNINGS) $(HARDENING)
LDFLAGS += -pie -Wl,-z,relro,-z,now -rdynamic
PACKAGE_FLAGS = $(shell pkg-config --cflags $(PACKAGES))
LIBRARIES = $(shell pkg-config --libs $(PACKAGES))

SANDBOX_SKIP = $(if $(SANITIZE),src/base/sandbox.c,src/base/sandbox_empty.c)
SOURCES = $(filter-out $(SANDBOX_SKIP),$(foreach d,$(ONLY),$(wildcard src/$(d)/*.c)))
OBJECTS = $(SOURCES:%.c=$(BUILD)/%.o)
ARCHIVE = $(BUILD)/libparcelpost.a
PROGRAMS = parcelpostd parcelpost-queue parcelpost sendmail
UNIT_TESTS = $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))
EMBEDDED = $(BUILD)/generated/sql_embedded.h

all: $(PROGRAMS:%=$(BUILD)/bin/%)

$(EMBEDDED): $(wildcard sql/*.sql) tools/embed
	@mkdir -p $(@D)
	tools/embed sql/*.sql > $@.new && mv $@.new $@

$(BUILD)/%.o: %.c | $(EMBEDDED)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(PACKAGE_FLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(ARCHIVE): $(OBJECTS)
	rm -f $@ && ar rcs $@ $^

# src/programs: one file a program's main, named as the program with '-' as '_', and processes.c for those that fork.
program_objects = $(BUILD)/src/programs/$(subst -,_,$(1)).o \
	$(if $(filter parcelpostd parcelpost-queue,$(1)),$(BUILD)/src/programs/processes.o)
.SECONDEXPANSION:
$(PROGRAMS:%=$(BUILD)/bin/%): $(BUILD)/bin/%: $$(call program_objects,%) $(ARCHIVE)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBRARIES)

$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(ARCHIVE)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBRARIES) -lcmocka
unit-tests: $(UNIT_TESTS)

clean:
	rm -rf $(BUILD)

.PHONY: all unit-tests clean
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
