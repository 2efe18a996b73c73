// The shared library is the client API linked whole; this file exists because a library needs a source of its own.
#include "troupe/client.hpp"
