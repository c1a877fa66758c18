/** An Istio release line, e.g. 1.30. */
export interface IstioVersion {
  major: number;
  minor: number;
}

/** The version of Istio that manifests are for where none is named: the newest stable one. */
export const defaultIstioVersion = "1.30";

const oldest: IstioVersion = { major: 1, minor: 28 };

/** Parses "1.30" or "1.30.3"; returns a message if it is wrong. */
export function parseIstioVersion(text: string): IstioVersion | string {
  const found = /^v?(\d{1,3})\.(\d{1,3})(?:\.\d{1,3})?(?:-[0-9A-Za-z.-]+)?$/.exec(text);
  if (!found) return `istio version "${text}" must look like 1.30 or 1.30.3`;
  const version = { major: Number(found[1]), minor: Number(found[2]) };
  if (!atLeast(version, oldest)) {
    return `istio version "${text}" is too old: weir renders for ${oldest.major}.${oldest.minor} and later`;
  }
  return version;
}

export function atLeast(version: IstioVersion, other: IstioVersion): boolean {
  if (version.major !== other.major) return version.major > other.major;
  return version.minor >= other.minor;
}
