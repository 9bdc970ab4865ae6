# The power-cut shim: a library to be preloaded, so it is built alone and without a sanitizer.
$(B)/bin/powercut.so: tests/tools/powercut/shim.c tests/tools/powercut/record.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -std=c11 -pthread $(CWARN) -O2 -g -fPIC -shared -o $@ $< -ldl

all tests: $(B)/bin/powercut.so
