/**
 * Headers by which an answer alone tells that it must not be compressed, with an
 * RE2 of the values that do: digests of the bytes as they are (RFC 9530), a part of
 * something, and an answer that caches may not tell apart by accept-encoding.
 */
export const incompressible: readonly { header: string; value: string }[] = [
  { header: "content-digest", value: ".+" },
  { header: "repr-digest", value: ".+" },
  { header: "digest", value: ".+" },
  { header: "content-md5", value: ".+" },
  { header: "content-range", value: ".+" },
  { header: "vary", value: ".*\\*.*" },
];
