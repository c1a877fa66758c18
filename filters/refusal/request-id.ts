import { literal } from "../sdk";

export const requestId = literal("x-request-id");
