// Reads and changes a look-alike GitHub with GitHub's own JavaScript client, and says what it saw as JSON.
import { App, Octokit, RequestError } from "octokit";

const { url, appId, privateKey, secret, installation, delivery } = JSON.parse(process.env.LOOKALIKE);
const owner = "acme", repo = "shop";
const app = new App({ appId, privateKey, webhooks: { secret }, Octokit: Octokit.defaults({ baseUrl: `${url}/api/v3`, log: { debug() {}, info() {}, warn() {}, error() {} } }) });
const seen = {};

seen.app = (await app.octokit.rest.apps.getAuthenticated()).data.slug;
const kit = await app.getInstallationOctokit(installation);
seen.repos = (await kit.paginate(kit.rest.apps.listReposAccessibleToInstallation)).map((r) => r.full_name);
seen.issues = (await kit.paginate(kit.rest.issues.listForRepo, { owner, repo, per_page: 2, direction: "asc" })).map((i) => i.title);

const { data: comment } = await kit.rest.issues.createComment({ owner, repo, issue_number: 1, body: "hello" });
seen.comment = [comment.user.login, comment.performed_via_github_app.slug];
await kit.rest.reactions.createForIssueComment({ owner, repo, comment_id: comment.id, content: "rocket" });
await kit.rest.issues.addLabels({ owner, repo, issue_number: 1, labels: ["claude"] });

const { data: file } = await kit.rest.repos.getContent({ owner, repo, path: "src/a.txt" });
seen.file = Buffer.from(file.content, "base64").toString();

const { data: pull } = await kit.rest.pulls.create({ owner, repo, title: "By octokit", head: "feature/x", base: "main", body: "Closes #1", draft: true });
seen.graph = (await kit.graphql(
  `query($owner: String!, $repo: String!, $n: Int!) { repository(owner: $owner, name: $repo) { pullRequest(number: $n) { id isDraft reviewDecision reviewThreads(first: 5) { nodes { isResolved } } } } }`,
  { owner, repo, n: pull.number })).repository.pullRequest;
await kit.graphql(`mutation($id: ID!) { markPullRequestReadyForReview(input: { pullRequestId: $id }) { pullRequest { isDraft } } }`, { id: pull.node_id });

const { data: run } = await kit.rest.checks.create({ owner, repo, name: "gate", head_sha: pull.head.sha, status: "in_progress" });
await kit.rest.checks.update({ owner, repo, check_run_id: run.id, conclusion: "success", output: { title: "Good", summary: "All" } });
seen.checks = (await kit.paginate(kit.rest.checks.listForRef, { owner, repo, ref: "feature/x" })).map((c) => [c.name, c.conclusion]);

try {
  await kit.rest.pulls.merge({ owner, repo, pull_number: pull.number, sha: "0".repeat(40), merge_method: "squash" });
} catch (error) {
  seen.refused = [error instanceof RequestError, error.status, error.response.data.message];
}
seen.merged = (await kit.rest.pulls.merge({ owner, repo, pull_number: pull.number, sha: pull.head.sha, merge_method: "squash", commit_title: "Squashed" })).data.merged;
seen.subject = (await kit.rest.repos.getCommit({ owner, repo, ref: "main" })).data.commit.message;
await kit.rest.git.deleteRef({ owner, repo, ref: "heads/feature/x" });
seen.closed = (await kit.rest.issues.get({ owner, repo, issue_number: 1 })).data.state;

seen.redirected = (await kit.rest.issues.createComment({ owner, repo: "former", issue_number: 1, body: "moved" })).data.html_url.includes("/acme/shop2/");
seen.signature = await app.webhooks.verify(delivery.payload, delivery.signature);
console.log(JSON.stringify(seen));
