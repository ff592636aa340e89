// A bucket's policy and rules: each is a document of S3's, shown and changed
// as it is. What S3 has against a document is told in its own words.

import {checksum, send} from "./s3.js";
import {objectsLink} from "./buckets.js";
import {confirm} from "./dialog.js";
import {button, el, fill, problem, toast} from "./dom.js";
import {tabs} from "./tabs.js";
import {unfinished} from "./uploads.js";
import {pretty} from "./xml.js";

const publicRead = bucket => JSON.stringify({Version: "2012-10-17",
    Statement: [{Sid: "ReadForAll", Effect: "Allow", Principal: "*",
        Action: "s3:GetObject", Resource: `arn:aws:s3:::${bucket}/*`}]},
null, 2);

// label, subresource, what it is for, an example, whether it can be removed
const DOCUMENTS = [
    ["Policy", "policy", "Who may do what with the bucket and its objects.",
        publicRead, true],
    ["Public access", "publicAccessBlock",
        "What holds back policies and ACLs that would open it to everybody.",
        () => `<PublicAccessBlockConfiguration>
  <BlockPublicAcls>true</BlockPublicAcls>
  <IgnorePublicAcls>true</IgnorePublicAcls>
  <BlockPublicPolicy>true</BlockPublicPolicy>
  <RestrictPublicBuckets>true</RestrictPublicBuckets>
</PublicAccessBlockConfiguration>`, true],
    ["Versioning", "versioning", "Whether what is replaced or deleted stays.",
        () => `<VersioningConfiguration>
  <Status>Enabled</Status>
</VersioningConfiguration>`, false],
    ["CORS", "cors", "Which other origins' pages may use it.",
        () => `<CORSConfiguration>
  <CORSRule>
    <AllowedOrigin>https://www.example.org</AllowedOrigin>
    <AllowedMethod>GET</AllowedMethod>
    <AllowedHeader>*</AllowedHeader>
    <MaxAgeSeconds>3600</MaxAgeSeconds>
  </CORSRule>
</CORSConfiguration>`, true],
    ["Encryption", "encryption", "How new objects are encrypted at rest.",
        () => `<ServerSideEncryptionConfiguration>
  <Rule>
    <ApplyServerSideEncryptionByDefault>
      <SSEAlgorithm>AES256</SSEAlgorithm>
    </ApplyServerSideEncryptionByDefault>
  </Rule>
</ServerSideEncryptionConfiguration>`, true],
    ["Events", "notification", "Who is told of changes.",
        () => `<NotificationConfiguration>
  <QueueConfiguration>
    <Id>all</Id>
    <Queue>arn:aws:sqs:us-east-1:000000000000:TARGET</Queue>
    <Event>s3:ObjectCreated:*</Event>
  </QueueConfiguration>
</NotificationConfiguration>`, false],
    ["Website", "website", "The bucket as a website.",
        () => `<WebsiteConfiguration>
  <IndexDocument><Suffix>index.html</Suffix></IndexDocument>
  <ErrorDocument><Key>404.html</Key></ErrorDocument>
</WebsiteConfiguration>`, true],
    ["Object Lock", "object-lock",
        "How long versions are protected from deletion.",
        () => `<ObjectLockConfiguration>
  <ObjectLockEnabled>Enabled</ObjectLockEnabled>
  <Rule><DefaultRetention>
    <Mode>GOVERNANCE</Mode>
    <Days>30</Days>
  </DefaultRetention></Rule>
</ObjectLockConfiguration>`, false],
    ["Ownership", "ownershipControls",
        "Whose objects are, and whether ACLs count.",
        () => `<OwnershipControls>
  <Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>
</OwnershipControls>`, true],
    ["ACL", "acl", "S3's older way to let others in.", null, false],
    ["Logging", "logging", "Where access logs are delivered.",
        () => `<BucketLoggingStatus>
  <LoggingEnabled>
    <TargetBucket>LOGS</TargetBucket>
    <TargetPrefix>access/</TargetPrefix>
  </LoggingEnabled>
</BucketLoggingStatus>`, false],
    ["Tags", "tagging", "Names and values of your own.",
        () => `<Tagging>
  <TagSet>
    <Tag><Key>team</Key><Value>blue</Value></Tag>
  </TagSet>
</Tagging>`, true],
];

function readable(source, isJson) {
    try {
        return isJson ? JSON.stringify(JSON.parse(source), null, 2)
            : pretty(source);
    } catch {
        return source;
    }
}

/** The text of a document; "" where there is none. */
async function read(bucket, subresource, signal) {
    try {
        const answer = await send("GET",
            {bucket, query: {[subresource]: ""}, signal});
        return readable(await answer.text(), subresource === "policy");
    } catch (error) {
        if (error.status === 404 && error.code !== "NoSuchBucket") {
            return "";
        }
        throw error;
    }
}

async function editor(bucket, [label, subresource, about, example, removable],
    signal) {
    const errors = el("div");
    const text = el("textarea", {rows: 16, spellcheck: "false",
        "aria-label": label, autocapitalize: "off"});
    const state = el("p", {class: "dim"});
    const load = async () => {
        text.value = await read(bucket, subresource, signal);
        state.textContent = about + (text.value ? "" : " Nothing is set.");
    };
    const act = async action => {
        errors.replaceChildren();
        try {
            await action();
            await load();
        } catch (error) {
            fill(errors, problem(error));
        }
    };
    const save = () => act(async () => {
        await send("PUT", {bucket, query: {[subresource]: ""}, body: text.value,
            headers: await checksum(text.value)});
        toast(`${label} of ${bucket} was saved.`);
    });
    const remove = () => confirm(`Remove: ${label}`,
        `Remove this document from ${bucket}?`, "Remove", async () => {
            await send("DELETE", {bucket, query: {[subresource]: ""}});
            await load();
        });
    await load();
    return el("div", {}, state, text, errors, el("div", {class: "actions"},
        example && button("Example", () => {
            text.value = example(bucket);
            text.focus();
        }, "quiet"),
        removable && button("Remove", remove, "quiet"),
        button("Save", save, "primary")));
}

export function showSettings(main, {bucket}, signal) {
    fill(main,
        el("div", {class: "title"},
            el("nav", {class: "crumbs", "aria-label": "Path"},
                el("a", {href: "#/buckets"}, "Buckets"), " / ",
                el("a", {href: objectsLink(bucket)}, bucket), " / ",
                el("span", {}, "Rules")),
            el("a", {class: "button", href: objectsLink(bucket)}, "Objects")),
        el("section", {class: "card"}, tabs([
            ...DOCUMENTS.map(document =>
                [document[0], () => editor(bucket, document, signal)]),
            ["Uploads", () => unfinished(bucket, signal)]])));
}
