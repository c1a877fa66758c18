/** Where an artifact lies: "registry.example.com/team/weir:0.1.0". */
export interface Reference {
  /** Host, with its port where it has one. */
  registry: string;
  repository: string;
  tag: string;
}

/** Reads a reference, with or without "oci://". @throws Error that names what is wrong */
export function parseReference(text: string): Reference {
  const found =
    /^(?:oci:\/\/)?([a-z0-9.-]+(?::\d{1,5})?)\/([a-z0-9]+(?:[._/-]+[a-z0-9]+)*):([\w][\w.-]{0,127})$/.exec(
      text,
    );
  const [, registry, repository, tag] = found ?? [];
  if (registry === undefined || repository === undefined || tag === undefined)
    throw new Error(`reference "${text}" is not of the form oci://HOST/REPOSITORY:TAG`);
  return { registry, repository, tag };
}
