// Packs a status list: {"bits", "statuses", "claims"} on standard input, header and payload of its token on standard output.
import { text } from "node:stream/consumers";
import { StatusList, createHeaderAndPayload } from "@sd-jwt/jwt-status-list";

const { bits, statuses, claims } = JSON.parse(await text(process.stdin));
const token = createHeaderAndPayload(new StatusList(statuses, bits), claims, { alg: "ES256", typ: "statuslist+jwt" });
process.stdout.write(JSON.stringify(token));
