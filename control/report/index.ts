export { type Count, createLedger, type Ledger } from "./ledger.ts";
