import { literal } from "../sdk";

// OpenAI's headers on limits, which refusals and answers carry alike.
export const limitTokens = literal("x-ratelimit-limit-tokens");
export const remainingTokens = literal("x-ratelimit-remaining-tokens");
export const resetTokens = literal("x-ratelimit-reset-tokens");
export const limitRequests = literal("x-ratelimit-limit-requests");
export const remainingRequests = literal("x-ratelimit-remaining-requests");
export const resetRequests = literal("x-ratelimit-reset-requests");
