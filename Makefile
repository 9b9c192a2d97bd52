# Parcelpost. `make run` builds and starts a server to try; `make check` runs every test; README.md has the rest.
# Variables: BUILD=dir (default build), SANITIZE=1 (ASan+UBSan), CC=gcc|clang, ONLY="base mail" (just these folders of src/),
# TESTS="tests/system/test_x.py …" (check: only these), DESTDIR= PREFIX= (install).
BUILD ?= build
CC = gcc
PREFIX ?= /usr
SANITIZE ?=
ONLY ?= $(filter-out programs,$(notdir $(wildcard src/*)))
PACKAGES = openssl sqlite3 libcares opendkim libcrypt libconfuse libseccomp libidn2 libidn libcap-ng libpsl

WARNINGS = -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wundef \
	-Wpointer-arith -Wwrite-strings -Wold-style-definition -Wimplicit-fallthrough
# tests/system/test_hardening.py reads from the programs that all of this is there.
HARDENING = -fstack-protector-strong -fPIE $(HARDENING_$(MACHINE))
HARDENING_x86_64 = -fstack-clash-protection -fcf-protection=full
HARDENING_aarch64 = -mbranch-protection=standard
MACHINE = $(eval MACHINE := $$(firstword $$(subst -, ,$$(shell $(CC) -dumpmachine))))$(MACHINE)
OPTIMISE = -O2 -D_FORTIFY_SOURCE=3
ifneq ($(SANITIZE),)
OPTIMISE = -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer $(INSTRUMENT)
endif
CPPFLAGS += -D_GNU_SOURCE -Isrc -I$(BUILD)/generated
CFLAGS += -std=c17 -g $(OPTIMISE) $(WARNINGS) $(HARDENING)
LDFLAGS += -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code -rdynamic -static-libgcc
# Asked once, and only when something is compiled: `make run` starts on machines without pkg-config.
PACKAGE_FLAGS = $(eval PACKAGE_FLAGS := $$(shell pkg-config --cflags $(PACKAGES)))$(PACKAGE_FLAGS)
LIBRARIES = $(eval LIBRARIES := $$(shell pkg-config --libs $(PACKAGES)))$(LIBRARIES)

comma = ,
SANDBOX_SKIP = $(if $(SANITIZE)$(filter no,$(SANDBOX)),src/base/sandbox.c src/base/landlock.c src/tls/region.c,src/base/sandbox_empty.c src/tls/region_empty.c)
SOURCES = $(filter-out $(SANDBOX_SKIP),$(foreach d,$(ONLY),$(wildcard src/$(d)/*.c src/$(d)/*/*.c)))
OBJECTS = $(SOURCES:%.c=$(BUILD)/%.o)
ARCHIVE = $(BUILD)/libparcelpost.a
PROGRAMS = parcelpostd parcelpost-queue parcelpost sendmail
UNIT_TESTS = $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))
EMBEDDED = $(BUILD)/generated/sql_embedded.h

all: $(PROGRAMS:%=$(BUILD)/bin/%)

$(EMBEDDED): $(wildcard sql/*.sql) tools/embed
	@mkdir -p $(@D)
	$(Q)tools/embed sql/*.sql > $@.new && mv $@.new $@

# V=1 shows whole commands.
Q = $(if $(V),,@)
# Rewritten when the flags are other than those of the last build: then everything is compiled anew.
$(BUILD)/flags: FORCE
	$(Q)mkdir -p $(@D) && { echo '$(CC) $(CFLAGS)' | cmp -s - $@ || echo '$(CC) $(CFLAGS)' > $@; }
$(BUILD)/%.o: %.c $(BUILD)/flags | $(EMBEDDED)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  cc    $<")
	$(Q)$(CC) $(CPPFLAGS) $(PACKAGE_FLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(ARCHIVE): $(OBJECTS)
	$(Q)rm -f $@ && ar rcs $@ $^

# src/programs: one file a program's main, named as the program with '-' as '_', and processes.c for those that fork.
program_objects = $(BUILD)/src/programs/$(subst -,_,$(1)).o \
	$(if $(filter parcelpostd parcelpost-queue,$(1)),$(BUILD)/src/programs/processes.o)
.SECONDEXPANSION:
$(PROGRAMS:%=$(BUILD)/bin/%): $(BUILD)/bin/%: $$(call program_objects,%) $(ARCHIVE)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  link  $@")
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBRARIES)

$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(ARCHIVE)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  link  $@")
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBRARIES) -lcmocka
CRASHING = $(addprefix $(BUILD)/crash/,parcelpostd parcelpost-queue control)
crash-programs: $(if $(SANITIZE),,$(BUILD)/crash/matrix $(CRASHING))
unit-tests: $(UNIT_TESTS) crash-programs
.PRECIOUS: $(BUILD)/%.o

# Fuzz targets: clang's libFuzzer. tests/fuzz/run builds them with SANITIZE=1 and what INSTRUMENT says.
$(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/fuzz_%.o $(ARCHIVE)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  link  $@")
	$(Q)$(CC) $(CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LIBRARIES) -lcmocka -lpthread
# Whole sessions run in a world of their own: tests/fuzz/session_world.h.
$(BUILD)/fuzz/session: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,poll clock_gettime time pread pwrite random_fill tls_accept tls_accept_begun tls_channel_binding)
fuzz-targets: $(patsubst tests/fuzz/fuzz_%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
fuzz-objects: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/fuzz/fuzz_*.c))

# The crash matrix: tests/crash/matrix/run.
$(BUILD)/crash/matrix: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/crash/matrix/*.c)) $(ARCHIVE)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  link  $@")
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBRARIES) -lcmocka

# The same for a whole server: its programs with no sandbox, and with the disk of the crash matrix under every process.
MACHINE_OBJECTS = $(addprefix $(BUILD)/,src/base/sandbox_empty.o tests/crash/matrix/disk.o)
$(filter-out %/control,$(CRASHING)): $(BUILD)/crash/%: $$(call program_objects,%) $(MACHINE_OBJECTS) $(BUILD)/tests/crash/machine/machine.o $(ARCHIVE)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  link  $@")
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBRARIES)
$(BUILD)/crash/control: $(BUILD)/tests/crash/machine/control.o $(BUILD)/tests/crash/matrix/disk.o
	@mkdir -p $(@D)
	$(if $(V),,@echo "  link  $@")
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

# Shared objects that tests preload into a server.
SHIMS = $(patsubst tests/shim/%.c,$(BUILD)/shim/%.so,$(wildcard tests/shim/*.c))
$(BUILD)/shim/%.so: tests/shim/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -std=c17 -g -O2 $(WARNINGS) -fPIC -shared -o $@ $< -ldl
shims: $(SHIMS)

# deps, deps-test, deps-lint: Debian's packages; nothing happens when all are there.
deps:
	@tools/deps build
deps-test:
	@tools/deps build test
deps-lint:
	@tools/deps build test lint

export BUILD
run: deps
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@tools/run-demo

check: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) all unit-tests shims bench-programs
	@/usr/bin/python3 tests/run $(TESTS)

# The whole suite with AddressSanitizer and UndefinedBehaviorSanitizer.
asan:
	@$(MAKE) --no-print-directory check SANITIZE=1 BUILD=$(BUILD)-asan

# Unit tests and dialogue scripts under valgrind's memcheck; it makes system calls of its own, so without the sandbox.
valgrind: deps-lint
	@$(MAKE) --no-print-directory -j$(JOBS) BUILD=$(BUILD)-valgrind SANDBOX=no all unit-tests shims
	@BUILD=$(BUILD)-valgrind /usr/bin/python3 tests/run --valgrind tests/unit tests/session

lint: deps-lint
	@/usr/bin/python3 tests/lint/run

# gcc's -fanalyzer: about a minute.
analyze: deps-lint $(EMBEDDED)
	@/usr/bin/python3 tests/lint/run --analyze

# The ledger's code ended at each of its system calls, in nine ways; a whole server ended at each call of each process, in three;
# then kill -9 at random moments, 50 times over 2,000 messages (check does every 29th call, every 80th, and 5 times over 200).
crash: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) all $(BUILD)/crash/matrix $(CRASHING)
	@/usr/bin/python3 tests/crash/matrix/run --table tests/crash/MATRIX.md
	@/usr/bin/python3 tests/crash/machine/run --table tests/crash/MATRIX.md
	@/usr/bin/python3 tests/crash/run --rounds 50 --messages 2000

# 2,000 messages over 50 connections to Dovecot and Postfix (check does it with 60).
volume: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@PARCELPOST_VOLUME=2000 /usr/bin/python3 -B -m pytest -q -s -p no:cacheprovider tests/system/test_volume.py

# A message of 1 GiB through SMTP, CHUNKING and a milter, with the receiver's memory measured (check does it with 64 MiB).
huge: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@PARCELPOST_HUGE=1024 /usr/bin/python3 -B -m pytest -q -s -p no:cacheprovider tests/system/test_milter_memory.py

# Every parser of untrusted bytes, and the whole session, with bytes that nobody would think of: FUZZ_SECONDS each (60);
# FUZZ="session dns": only these.
fuzz: deps-lint
	@/usr/bin/python3 tests/fuzz/run --seconds $(or $(FUZZ_SECONDS),60) $(FUZZ)

# Puts known mistakes back one by one and shows that the named tests go red.
mutants: deps-test
	@/usr/bin/python3 tests/mutants/run $(MUTANTS)

# Programs that benches use.
BENCH = $(addprefix $(BUILD)/bench/,client sink limits)
$(BUILD)/bench/%: $(BUILD)/tests/bench/%.o
	@mkdir -p $(@D)
	$(if $(V),,@echo "  link  $@")
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lssl -lcrypto
$(BUILD)/bench/client: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/bench/client/*.c))
	@mkdir -p $(@D)
	$(if $(V),,@echo "  link  $@")
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lssl -lcrypto
bench-programs: $(BENCH)

# Parcelpost beside Postfix, Exim and OpenSMTPD: less than 25 minutes, root only; bench-quick prints a part of it in two.
bench: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) all shims bench-programs
	@tests/bench/compare --write $(BENCH_FLAGS)
bench-quick: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) all shims bench-programs
	@tests/bench/compare --quick $(BENCH_FLAGS)

# What the machine itself can do, on the file system of BENCH_DIR.
bench-limits: deps
	@$(MAKE) --no-print-directory -j$(JOBS) $(BUILD)/bench/limits
	@folder=$$(mktemp -d -p "$${BENCH_DIR:-/tmp}") && { $(BUILD)/bench/limits "$$folder"; rm -rf "$$folder"; }

# What one message costs: system calls of each process, flushes.
bench-message: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) all shims
	@/usr/bin/python3 tests/bench/run

# What a TLS handshake costs, beside a build of another commit: BEFORE=its build directory.
bench-handshakes: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@tests/bench/handshakes --before $(BEFORE)

# What many refused, locked out and greylisted strangers cost everybody else.
bench-defences: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@tests/bench/defences

# What a queue of a million parcels costs, and that nobody in it holds others up: takes minutes and 2 GB.
bench-queue: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@tests/bench/queue

# Half an hour at full speed with everything happening at once: SOAK_MINUTES (30). Needs 5 GB of disk.
soak: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@tests/soak/run --minutes $(or $(SOAK_MINUTES),30) --table tests/soak/SOAK.md

# What 5,000 connections that do nothing cost, and others beside them; the same with TLS. check does it with 250.
idle: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@tests/soak/idle
	@tests/soak/idle --tls --pairs 2

# Connections as fast as they come, from who is locked out and from new addresses, beside a client with mail.
flood: deps-test
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@tests/soak/flood

JOBS ?= $(shell nproc)
BINARIES = $(PROGRAMS:%=$(BUILD)/bin/%)
CONFIGURATION = $(DESTDIR)/etc/parcelpost
install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/sysusers.d \
	    $(DESTDIR)$(PREFIX)/lib/systemd/system $(CONFIGURATION)/rules/examples
	install -m 755 $(BUILD)/bin/parcelpostd $(BUILD)/bin/parcelpost-queue $(BUILD)/bin/sendmail $(DESTDIR)$(PREFIX)/sbin
	install -m 755 $(BUILD)/bin/parcelpost $(DESTDIR)$(PREFIX)/bin
	ln -sf ../sbin/sendmail $(DESTDIR)$(PREFIX)/bin/mailq
	ln -sf ../sbin/sendmail $(DESTDIR)$(PREFIX)/bin/newaliases
	ln -sf ../sbin/sendmail $(DESTDIR)$(PREFIX)/lib/sendmail
	install -m 644 etc/sysusers.d/parcelpost.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d
	sed 's|/usr/sbin/|$(PREFIX)/sbin/|' etc/systemd/parcelpost.service | \
	    install -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/lib/systemd/system/parcelpost.service
	test -e $(CONFIGURATION)/parcelpost.conf || \
	    tools/installed-conf etc/parcelpost.conf | install -m 644 /dev/stdin $(CONFIGURATION)/parcelpost.conf
	install -m 644 etc/rules/examples/* $(CONFIGURATION)/rules/examples
	for f in man/*.[1-9]; do test ! -f "$$f" || \
	    install -D -m 644 "$$f" $(DESTDIR)$(PREFIX)/share/man/man$${f##*.}/$${f##*/}; done
	install -d $(DESTDIR)$(PREFIX)/share/man/man1
	for f in mailq newaliases; do ln -sf ../man8/sendmail.8 $(DESTDIR)$(PREFIX)/share/man/man1/$$f.1; done

clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-valgrind $(BUILD)-fuzz $(BUILD)-coverage

.PHONY: FORCE all unit-tests crash-programs shims deps deps-test deps-lint run check asan valgrind lint analyze fuzz fuzz-targets fuzz-objects crash volume huge mutants bench bench-quick bench-limits bench-message bench-programs bench-handshakes bench-defences bench-queue soak idle flood install clean
-include $(shell find $(BUILD) -type f -name '*.d' 2>/dev/null)
