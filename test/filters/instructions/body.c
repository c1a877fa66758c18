// Feeds a body to the reader of models, for counting instructions. Run as: program BODY TIMES TYPE.
// TYPE is the Content-Type of a form, or - for JSON. Prints the model that is found.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "weir.h"

/* So much of a body comes at once. */
#define PIECE 16384
#define PAGE 65536
#define MAX_BODY (4 << 20)

int main(int count, char **args) {
  if (count != 4) return 2;
  static Z_weir_instance_t guest;
  wasm_rt_init();
  Z_weir_init_module();
  Z_weir_instantiate(&guest);
  Z_weirZ__initialize(&guest);
  u32 reader = PAGE * wasm_rt_grow_memory(Z_weirZ_memory(&guest), 2 + MAX_BODY / PAGE);
  u32 type = reader + PAGE, body = reader + 2 * PAGE;
  u8 *memory = Z_weirZ_memory(&guest)->data;
  FILE *file = fopen(args[1], "rb");
  if (!file) return 3;
  u32 size = fread(memory + body, 1, MAX_BODY, file);
  int is_form = strcmp(args[3], "-");
  for (int times = atoi(args[2]); times > 0; times--) {
    strcpy((char *)memory + type, args[3]);
    if (is_form) Z_weirZ_openFormReader(&guest, reader, type, strlen(args[3]));
    else Z_weirZ_openModelReader(&guest, reader);
    for (u32 at = 0; at < size; at += PIECE)
      Z_weirZ_readModel(&guest, reader, body + at, size - at < PIECE ? size - at : PIECE);
    if (Z_weirZ_endModel(&guest, reader) != *Z_weirZ_FOUND(&guest)) return 1;
  }
  printf("%.*s\n", (int)Z_weirZ_modelBytes(&guest, reader),
         (char *)memory + Z_weirZ_modelPtr(&guest, reader));
  return 0;
}
