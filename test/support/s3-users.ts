import { randomBytes } from "node:crypto";
import {
  CreateBucketCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import type { S3Credentials } from "../../src/store/credentials.ts";
import type { TestS3 } from "./s3.ts";
import { signedRequest } from "./s3-signed.ts";

export interface S3User {
  readonly name: string;
  /** For the principal of a bucket's policy. */
  readonly arn: string;
  readonly credentials: S3Credentials;
  readonly client: S3Client;
}

export interface S3Owner extends S3User {
  /** Answers the new bucket's name. */
  makeBucket(how?: { readonly versioned?: boolean; readonly objectLock?: boolean }): Promise<string>;
  setBucketPolicy(bucket: string, document: object): Promise<void>;
}

/** An account like those of IAM: its users may do what a policy of theirs says, and nothing without. */
export interface S3Account extends AsyncDisposable {
  readonly root: S3Owner;
  makeUser(name: string): Promise<S3User>;
  /** Replace what the user may do. */
  setUserPolicy(user: S3User, document: object): Promise<void>;
}

/** A user as servers without IAM have them: alone, owner of its buckets, in nobody's account. */
export async function makePlainUser(s3: TestS3, name: string): Promise<S3Owner> {
  const uid = `${name}-${randomBytes(4).toString("hex")}`;
  return ownerOf(await makeUser(s3, { uid, "display-name": name }, `arn:aws:iam:::user/${uid}`));
}

export async function makeAccount(s3: TestS3): Promise<S3Account> {
  const tag = randomBytes(4).toString("hex");
  const { id } = JSON.parse(await admin(s3, "POST", "account", { name: `account-${tag}` })) as { id: string };
  const made: S3User[] = [];
  const make = async (name: string, more: Readonly<Record<string, string>>): Promise<S3User> => {
    const query = { uid: `${name}-${tag}`, "display-name": name, "account-id": id, ...more };
    const user = await makeUser(s3, query, `arn:aws:iam::${id}:user/${name}`);
    made.push(user);
    return user;
  };
  const root = ownerOf(await make("root", { "account-root": "true" }));
  return {
    root,
    makeUser: (name) => make(name, {}),
    async setUserPolicy(user, document) {
      const url = new URL(s3.endpoint);
      const query = {
        Action: "PutUserPolicy",
        Version: "2010-05-08",
        UserName: user.name,
        PolicyName: "drops",
      };
      for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
      url.searchParams.set("PolicyDocument", JSON.stringify(document));
      await signedRequest("POST", url, "iam", root.credentials);
    },
    async [Symbol.asyncDispose]() {
      for (const { client } of made) client.destroy();
    },
  };
}

async function makeUser(s3: TestS3, query: Readonly<Record<string, string>>, arn: string): Promise<S3User> {
  const credentials = {
    accessKeyId: randomBytes(10).toString("hex").toUpperCase(),
    secretAccessKey: randomBytes(20).toString("hex"),
  };
  const keys = { "access-key": credentials.accessKeyId, "secret-key": credentials.secretAccessKey };
  await admin(s3, "PUT", "user", { ...query, ...keys });
  const where = { endpoint: s3.endpoint, region: "us-east-1", forcePathStyle: true };
  const client = new S3Client({ ...where, credentials, maxAttempts: 1 });
  return { name: query["display-name"] ?? "", arn, credentials, client };
}

function ownerOf(user: S3User): S3Owner {
  return {
    ...user,
    async makeBucket({ versioned = false, objectLock = false } = {}) {
      const Bucket = `test-${randomBytes(6).toString("hex")}`;
      const more = objectLock ? { ObjectLockEnabledForBucket: true } : {};
      await user.client.send(new CreateBucketCommand({ Bucket, ...more }));
      const VersioningConfiguration = { Status: "Enabled" } as const;
      if (versioned)
        await user.client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
      return Bucket;
    },
    async setBucketPolicy(bucket, document) {
      const command = new PutBucketPolicyCommand({ Bucket: bucket, Policy: JSON.stringify(document) });
      await user.client.send(command);
    },
  };
}

/** Ceph's own interface for users, which the tests' user may ask: test/support/ceph/serve.sh. */
function admin(
  s3: TestS3,
  method: "PUT" | "POST",
  what: string,
  query: Readonly<Record<string, string>>,
): Promise<string> {
  const url = new URL(`${s3.endpoint}/admin/${what}`);
  for (const [key, value] of Object.entries({ ...query, format: "json" })) url.searchParams.set(key, value);
  return signedRequest(method, url, "s3", s3.credentials);
}
