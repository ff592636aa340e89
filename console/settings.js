// A bucket's policy and rules, and what it holds.

import {objectsLink} from "./buckets.js";
import {editor} from "./document.js";
import {el, fill} from "./dom.js";
import {tabs} from "./tabs.js";
import {unfinished} from "./uploads.js";
import {usage} from "./usage.js";

const publicRead = bucket => JSON.stringify({Version: "2012-10-17",
    Statement: [{Sid: "ReadForAll", Effect: "Allow", Principal: "*",
        Action: "s3:GetObject", Resource: `arn:aws:s3:::${bucket}/*`}]},
null, 2);

// as document.js has them
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
    ["Payment", "requestPayment", "Who pays for requests.",
        () => `<RequestPaymentConfiguration>
  <Payer>Requester</Payer>
</RequestPaymentConfiguration>`, false],
    ["Tags", "tagging", "Names and values of your own.",
        () => `<Tagging>
  <TagSet>
    <Tag><Key>team</Key><Value>blue</Value></Tag>
  </TagSet>
</Tagging>`, true],
];

export function showSettings(main, {bucket}, signal) {
    fill(main, el("h1", {class: "hidden"}, `Rules of ${bucket}`),
        el("div", {class: "title"},
            el("nav", {class: "crumbs", "aria-label": "Path"},
                el("a", {href: "#/buckets"}, "Buckets"), " / ",
                el("a", {href: objectsLink(bucket)}, bucket), " / ",
                el("span", {}, "Rules")),
            el("a", {class: "button", href: objectsLink(bucket)}, "Objects")),
        el("section", {class: "card"}, tabs([
            ...DOCUMENTS.map(document =>
                [document[0], () => editor({bucket, signal}, document)]),
            ["Uploads", () => unfinished(bucket, signal)],
            ["Usage", () => usage(bucket, signal)]])));
}
