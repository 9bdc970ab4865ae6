# The pages: bundled by esbuild into one C file, linked into the binary. WEB=0 leaves them out.
# web/node_modules holds what the bundle needs (.stamp) or that and what checks the pages (.dev); npm ci empties it first.
WEB_SRC := $(shell find web/src -type f 2>/dev/null)

NPM_CI := npm ci --no-audit --no-fund --silent --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=5000
define no_npm
{ echo "npm could not fetch what the pages are built with (try \"cd web && npm ci\": no network, or a proxy npm is not told about?)." >&2; \
  echo "WEB=0 leaves the pages out: WEB=0 ./run, make WEB=0" >&2; exit 1; }
endef

# With and without pages are two contents of one file: pages.0 or pages.1 tells which it has, a change of WEB makes it anew.
PAGES_CHANGE := $(if $(wildcard $(B)/gen/pages.$(WEB)),,pages-change)
pages-change:
.PHONY: pages-change
define note_pages
@rm -f $(@D)/pages.*
@touch $(@D)/pages.$(WEB)
endef

ifeq ($(WEB),0)
$(B)/gen/web_assets.c: web/no_pages.c.in $(PAGES_CHANGE)
	@mkdir -p $(@D)
	$(Q)cp $< $@
	$(note_pages)
else
web/node_modules/.stamp: web/package.json web/package-lock.json
	$(Q)(cd web && $(NPM_CI) --omit=dev) || $(no_npm)
	@touch $@

$(B)/gen/web_assets.c: $(WEB_SRC) web/build.mjs web/node_modules/.stamp $(PAGES_CHANGE)
	@mkdir -p $(@D)
	$(Q)node web/build.mjs $(abspath $@)
	$(note_pages)
endif

$(B)/gen/web_assets.o: $(B)/gen/web_assets.c
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_) -c -o $@ $<

web: $(B)/gen/web_assets.c

web/node_modules/.dev: web/package.json web/package-lock.json
	$(Q)(cd web && $(NPM_CI)) || $(no_npm)
	@touch web/node_modules/.stamp $@
check-web: web/node_modules/.dev
	cd web && node_modules/.bin/tsc --noEmit && node tests/run-unit.mjs
.PHONY: check-web
ifneq ($(filter web,$(ROOMS)),)
OBJ += $(B)/gen/web_assets.o
endif
