#include <ringc/ringc_c.h>

#include <stdio.h>

int main(void) {
  int64_t rows = 0;
  if (ringc_abi_version() != RINGC_ABI_VERSION ||
      ringc_local_length("striped", 0, 3, 10, &rows) != RINGC_OK || rows != 4)
    return 1;
  printf("ringc %s\n", ringc_version());
  return 0;
}
