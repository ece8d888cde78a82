"""What each outcome means and what to do about it."""

from __future__ import annotations

from typing import Final, NamedTuple

from tradeline_ledger.outcome import Outcome


class Advice(NamedTuple):
    """What an outcome means and what to do about it, one sentence each."""

    meaning: str
    remedy: str


ADVICE: Final[dict[Outcome, Advice]] = {
    Outcome.ACCEPTED: Advice("The entry took effect.", "Nothing to do."),
    Outcome.ENTRY_MALFORMED: Advice(
        "The entry is too long or not canonically encoded.",
        "Encode it as docs/formats.md section 3 says, in the shortest form.",
    ),
    Outcome.STATEMENT_MALFORMED: Advice(
        "The statement does not decode.",
        "Build it with the client library, or compare it with the vectors of docs/formats.md.",
    ),
    Outcome.LEDGER_WRONG: Advice(
        "The statement names another ledger.", "Check which ledger this client is configured for."
    ),
    Outcome.MEMBER_UNKNOWN: Advice(
        "No member of that number is in the registry.", "Check the member id in the profile."
    ),
    Outcome.FEED_UNKNOWN: Advice(
        "The member has no such feed.", "Use a feed of the registry, or have the root key add it."
    ),
    Outcome.KEY_ENDED: Advice(
        "The key of that feed was ended.", "Sign with another feed; a feed number is never reused."
    ),
    Outcome.SIGNATURE_WRONG: Advice(
        "The signature is not by the key of that feed.", "Check the keystore against the registry."
    ),
    Outcome.POSITION_PAST: Advice(
        "Another statement has that position of the feed.",
        "If it is the same statement it is placed already; if not, stop: the key may be in use "
        "elsewhere. Take the position from a verified block before signing again.",
    ),
    Outcome.POSITION_AHEAD: Advice(
        "Positions before this one are not placed yet.", "Hand over the missing statements first."
    ),
    Outcome.PREV_WRONG: Advice(
        "`prev` is not the hash of the feed's previous statement.",
        "Take the feed's position from a verified block and sign again.",
    ),
    Outcome.SUBMISSION_MALFORMED: Advice(
        "The content of the submission does not decode.",
        "Encode it as docs/formats.md section 4 says; 1 to 10,000 events a batch.",
    ),
    Outcome.CONTENT_HASH_WRONG: Advice(
        "The content does not hash to the statement's content_hash.",
        "Send the content that was signed.",
    ),
    Outcome.REFUSED_TOO_OFTEN: Advice(
        "The entry would be refused, and the member's refusals of the day are used up.",
        "Find out why entries are refused; try again tomorrow.",
    ),
    Outcome.KIND_UNKNOWN: Advice("No kind has that number.", "Update the client."),
    Outcome.KIND_RESERVED: Advice(
        "The kind has its number but no rules yet.", "Wait for the rules that implement it."
    ),
    Outcome.KIND_NOT_ALLOWED: Advice(
        "The feed may not sign that kind.", "Sign with a feed that has the kind."
    ),
    Outcome.CONTENT_MALFORMED: Advice(
        "The content does not decode as what its kind demands.", "Compare it with docs/formats.md."
    ),
    Outcome.ROLE_MISSING: Advice(
        "The member lacks the role for that kind.", "Ask the members to vote for the role."
    ),
    Outcome.MEMBER_SUSPENDED: Advice(
        "The member is suspended.", "Ask the validators for a proposal that ends the suspension."
    ),
    Outcome.EPOCH_WRONG: Advice(
        "The batch names an epoch that is not in force.", "Seal the batch for today's committee."
    ),
    Outcome.DEPOSITS_WRONG: Advice(
        "The batch has not one deposit for each committee member.", "Seal the batch again."
    ),
    Outcome.RECEIPTS_TOO_FEW: Advice(
        "Fewer receipts of custody count than the threshold demands.",
        "Collect fresh receipts of the committee and sign again; expired ones do not count.",
    ),
    Outcome.BATCH_DUPLICATE: Advice(
        "The batch was accepted before.", "Nothing to do: the events are on the ledger once."
    ),
    Outcome.CONSENT_LEDGER_WRONG: Advice(
        "The terms name another ledger.", "Draft the consent on this ledger."
    ),
    Outcome.CONSENT_GRANTEE_WRONG: Advice(
        "The terms name another reader than the one who posts.", "The grantee posts its consent."
    ),
    Outcome.CONSENT_BASIS_RESERVED: Advice(
        "The basis is reserved.", "Use basis 1, the subject's consent."
    ),
    Outcome.CONSENT_TERMS_INVALID: Advice(
        "The terms contradict themselves.",
        "Check window, categories, commitments and frequency against docs/formats.md section 7.",
    ),
    Outcome.CONSENT_PURPOSE_UNKNOWN: Advice("No purpose has that number.", "Choose a listed one."),
    Outcome.CONSENT_CONTRIBUTOR_UNKNOWN: Advice(
        "A contributor in the terms was never a member.", "Check the list of contributors."
    ),
    Outcome.CONSENT_WINDOW_PAST: Advice(
        "The consent ended before it was posted.", "Ask the subject for a new consent."
    ),
    Outcome.CONSENT_SECOND_UNKNOWN: Advice(
        "The second member is not an authenticator.",
        "Have a member with that role identify the subject.",
    ),
    Outcome.CONSENT_SAME_GROUP: Advice(
        "Reader and second belong to one legal group.", "Use an authenticator of another group."
    ),
    Outcome.CONSENT_SECOND_UNSIGNED: Advice(
        "The second member's signature is missing or wrong.",
        "Have the authenticator sign exactly these terms with a feed that has the kind consent.",
    ),
    Outcome.CONSENT_SUBJECT_UNSIGNED: Advice(
        "The subject's signature is missing, wrong, or there is no key for it.",
        "Have the subject sign exactly these terms.",
    ),
    Outcome.CONSENT_DUPLICATE: Advice(
        "These terms were posted before; a consent is posted once.", "Use the consent as it is."
    ),
    Outcome.CONSENT_REVOKED_BEFORE: Advice(
        "The second member revoked the consent before it was posted.", "Ask for a new consent."
    ),
    Outcome.CONSENT_SUPERSEDES_WRONG: Advice(
        "The consent to supersede is unknown or of other parties.", "Name one of the same parties."
    ),
    Outcome.STATUS_CONSENT_UNKNOWN: Advice("No such consent.", "Check the consent id."),
    Outcome.STATUS_NOT_ALLOWED: Advice(
        "That member may not make that change.",
        "The second or the subject pauses, resumes and revokes; the reader terminates.",
    ),
    Outcome.STATUS_SUBJECT_UNSIGNED: Advice(
        "The subject's signature is wrong, or the consent has no key for it.",
        "Sign with the subject's key over the consent's present count of changes.",
    ),
    Outcome.STATUS_CONSENT_ENDED: Advice("The consent has ended.", "Nothing to do."),
    Outcome.STATUS_WITHOUT_EFFECT: Advice(
        "The consent is in that state already.", "Nothing to do."
    ),
    Outcome.STATUS_PAUSED_BY_OTHER: Advice(
        "The consent was paused by somebody else.", "Whoever paused it resumes it."
    ),
    Outcome.INQUIRY_CONSENT_UNKNOWN: Advice(
        "No consent allows this read.", "Obtain and post a consent first."
    ),
    Outcome.INQUIRY_READER_WRONG: Advice(
        "The consent is for another reader.", "Use a consent of your own."
    ),
    Outcome.INQUIRY_CONSENT_REVOKED: Advice(
        "The consent was revoked.", "Ask the subject for a new consent."
    ),
    Outcome.INQUIRY_CONSENT_TERMINATED: Advice(
        "The reader ended the consent.", "Ask the subject for a new consent."
    ),
    Outcome.INQUIRY_CONSENT_SUPERSEDED: Advice(
        "A newer consent took its place.", "Use the newer consent."
    ),
    Outcome.INQUIRY_CONSENT_PAUSED: Advice("The consent is paused.", "Wait until it is resumed."),
    Outcome.INQUIRY_CONSENT_NOT_YET: Advice(
        "The consent does not run yet.", "Wait until its first instant."
    ),
    Outcome.INQUIRY_CONSENT_EXPIRED: Advice(
        "The consent has expired.", "Ask the subject for a new consent."
    ),
    Outcome.INQUIRY_PURPOSE_WRONG: Advice(
        "The purpose is not the consent's.", "A new purpose needs a new consent."
    ),
    Outcome.INQUIRY_CATEGORY_OUTSIDE: Advice(
        "A category is outside the consent.", "Ask for what the consent names."
    ),
    Outcome.INQUIRY_CONTRIBUTOR_OUTSIDE: Advice(
        "A contributor is outside the consent.", "Ask for what the consent names."
    ),
    Outcome.INQUIRY_YEAR_OUTSIDE: Advice(
        "A year is outside the consent.", "Ask for the years that the consent commits to."
    ),
    Outcome.INQUIRY_CLOCK_SKEWED: Advice(
        "created_ms is too far from block time.", "Set the clock; sign again."
    ),
    Outcome.INQUIRY_YEAR_MISSING: Advice(
        "The years lack the one in which the inquiry is made.", "Add the year of created_ms."
    ),
    Outcome.INQUIRY_RETAIN_WRONG: Advice(
        "retain_month is not that of an inquiry of this month.", "Compute it from the parameters."
    ),
    Outcome.INQUIRY_FREQUENCY_USED: Advice(
        "The reads that the consent allows are used up.", "Wait for the next unit, or ask anew."
    ),
    Outcome.RELEASED_INQUIRY_UNKNOWN: Advice(
        "A released record names something that is no accepted inquiry.", "Check the node."
    ),
    Outcome.RELEASED_TWICE: Advice(
        "The release was recorded before.", "Nothing to do: it is recorded once."
    ),
    Outcome.MARK_RESERVED: Advice("That kind of mark has no rules yet.", "Use erase or retain."),
    Outcome.MARK_TARGET_UNKNOWN: Advice(
        "No event has that id.", "Name log index and position of an accepted event."
    ),
    Outcome.MARK_NOT_OWN: Advice(
        "The event is another member's.", "Ask its member, or open a dispute."
    ),
    Outcome.MARK_VALUE_WRONG: Advice(
        "The value does not fit the mark.", "Erase takes none, retain takes a month number."
    ),
    Outcome.MARK_WITHOUT_EFFECT: Advice(
        "The event is erased, or has that month already.", "Nothing to do."
    ),
    Outcome.KEY_MEMBER_UNKNOWN: Advice("No such member.", "Check the member id of the change."),
    Outcome.KEY_CHANGE_WRONG_LEDGER: Advice(
        "The change names another ledger.", "Sign the change for this ledger."
    ),
    Outcome.KEY_CHANGE_OUT_OF_TURN: Advice(
        "The number of the change is not the next of that member.", "Sign with the next number."
    ),
    Outcome.KEY_ROOT_UNSIGNED: Advice(
        "The change is not signed by the member's root key.", "Sign with the root key."
    ),
    Outcome.KEY_EPOCH_RESERVED: Advice(
        "A new HPKE key opens a new epoch, which has no rules yet.", "Leave the HPKE key as it is."
    ),
    Outcome.KEY_FEED_REUSED: Advice(
        "A feed number was used before.", "Give the new key a new feed number, from 1."
    ),
    Outcome.KEY_FEED_ABSENT: Advice("A feed to end does not exist.", "End feeds that are there."),
    Outcome.KEY_WEAK: Advice("A key is no valid Ed25519 key.", "Make a fresh key."),
    Outcome.KEY_REUSED: Advice("A key is in use elsewhere.", "Make a fresh key for each use."),
    Outcome.KEY_KINDS_WRONG: Advice(
        "A feed has no kind, an unknown one, or one that only the node signs.", "Name valid kinds."
    ),
    Outcome.KEY_WITHOUT_EFFECT: Advice("The change changes nothing.", "Nothing to do."),
    Outcome.KEY_TOO_MANY: Advice(
        "The member would have too many feeds, or has changed its keys too often.",
        "End feeds that are not needed; 256 feeds at a time and 1,024 key changes are the limits.",
    ),
    Outcome.CUSTODY_TARGET_UNKNOWN: Advice(
        "A custody record names something that is no accepted submission.", "Check the node."
    ),
    Outcome.CUSTODY_EPOCH_WRONG: Advice(
        "The deposits in force are of another epoch than the record says.",
        "Nothing to do: what the record was about is not in force any more.",
    ),
    Outcome.CUSTODY_WITHOUT_DEPOSIT: Advice(
        "The poster has no deposit there: it is not in the committee of that epoch.",
        "Check the node.",
    ),
    Outcome.CUSTODY_RECEIPT_GIVEN: Advice(
        "The poster's receipt of custody stands on the ledger already.", "Nothing to do."
    ),
    Outcome.CUSTODY_LATE: Advice(
        "The deposits were placed a day of block time ago, or longer.",
        "Nothing to do; find out why the attachment came so late.",
    ),
    Outcome.CUSTODY_TWICE: Advice(
        "The poster said of these deposits before what it found.", "Nothing to do."
    ),
    Outcome.REDEPOSIT_TARGET_UNKNOWN: Advice(
        "No accepted submission stands at that index.", "Name the log index of the submission."
    ),
    Outcome.REDEPOSIT_NOT_OWN: Advice(
        "The submission is another member's.", "Only the member that submitted deposits again."
    ),
    Outcome.REDEPOSIT_ERASED: Advice(
        "Every event of the submission is erased.", "Nothing to do: there is no key left to deal."
    ),
    Outcome.REDEPOSIT_EPOCH_WRONG: Advice(
        "The deposits are for an epoch that is not in force.",
        "Deposit for today's committee: run `tradeline redeposit` again.",
    ),
    Outcome.REDEPOSIT_DEPOSITS_WRONG: Advice(
        "There is not one deposit for each committee member.",
        "Deposit again: run `tradeline redeposit`.",
    ),
    Outcome.REDEPOSIT_RECEIPTS_TOO_FEW: Advice(
        "Fewer receipts of custody count than the threshold demands.",
        "Collect fresh receipts of the committee in force: run `tradeline redeposit` again.",
    ),
    Outcome.REDEPOSIT_DUPLICATE: Advice(
        "These deposits were accepted before.", "Deal the keys with fresh polynomials."
    ),
    Outcome.PROPOSAL_LEDGER_WRONG: Advice(
        "The proposal names another ledger.", "Draft it on this ledger."
    ),
    Outcome.PROPOSAL_DUPLICATE: Advice(
        "The same proposal was posted before.", "Vote on the one that is there."
    ),
    Outcome.PROPOSAL_STALE: Advice(
        "The registry has changed since the proposal was drafted.",
        "Look at the registry of today and propose again.",
    ),
    Outcome.PROPOSAL_EXPIRY_WRONG: Advice(
        "The proposal expires before its block, or more than 90 days after it.",
        "Give the validators some days to vote.",
    ),
    Outcome.PROPOSAL_EFFECT_TOO_FAR: Advice(
        "The height of effect is more than 10,000,000 heights away.", "Name a nearer height, or 0."
    ),
    Outcome.PROPOSAL_TOO_MANY: Advice(
        "32 proposals wait, 4 of the member, or 16 of members that are no validators; or the "
        "registry has 65,536 versions.",
        "Have those that are open decided; they also end when they expire.",
    ),
    Outcome.PROPOSAL_CONFLICT: Advice(
        "Another proposal that is open, or passed and not in force yet, is about the same thing.",
        "List the proposals; wait until the other is decided and in force, or reject it first.",
    ),
    Outcome.PROPOSAL_RULES_LATE: Advice(
        "The height at which other rules begin has come already.",
        "Propose a height that leaves every operator the time to install the new version.",
    ),
    Outcome.PROPOSAL_MEMBER_UNKNOWN: Advice(
        "A change names nobody who is a member.", "Check the member ids against the registry."
    ),
    Outcome.PROPOSAL_MEMBER_ID_USED: Advice(
        "The id of the new member is or was another one's.", "Use the next id never used."
    ),
    Outcome.PROPOSAL_ENDPOINT_WRONG: Advice(
        "An endpoint is no URL, or nobody could say who answers there.",
        "Write https://host:port and the pin of the node's TLS key.",
    ),
    Outcome.PROPOSAL_FEED_WRONG: Advice(
        "A feed number was used before or is not there, a feed has no valid kind, or they are too "
        "many.",
        "Give each new key a new feed number, and end feeds that are there.",
    ),
    Outcome.PROPOSAL_KEY_WEAK: Advice("A key is no valid Ed25519 key.", "Make a fresh key."),
    Outcome.PROPOSAL_KEY_REUSED: Advice(
        "A key, or the id of an engine, is in use elsewhere.", "Make a fresh key for each use."
    ),
    Outcome.PROPOSAL_PARAMS_FIXED: Advice(
        "linker and utc_offset_min are the same for ever.", "Leave those two as they are."
    ),
    Outcome.PROPOSAL_RULES_WRONG: Advice(
        "The number of the rules is not the next one.", "Name the number in force plus one."
    ),
    Outcome.PROPOSAL_WITHOUT_EFFECT: Advice(
        "A change changes nothing.", "Leave it out; compare with the registry of today."
    ),
    Outcome.PROPOSAL_COMMITTEE_UNFIT: Advice(
        "A committee member would be no validator, no member or without an HPKE key.",
        "Name in the same proposal a committee that all can serve.",
    ),
    Outcome.PROPOSAL_VALIDATOR_UNFIT: Advice(
        "A validator would be no member, suspended, or without role, endpoint, engine peer, or "
        "node, note, cosigner or engine key.",
        "Name in the same proposal the validators that remain, and complete what is missing.",
    ),
    Outcome.PROPOSAL_QUORUM_LOST: Advice(
        "So many validators would change at once that the others are no quorum.",
        "Change them one by one; or waive this guard if all operators stand by.",
    ),
    Outcome.PROPOSAL_STRANDS: Advice(
        "Too few would be left of a committee that still holds the keys of events.",
        "Have contributors deposit again first (`tradeline redeposit`); or waive this guard.",
    ),
    Outcome.VOTE_PROPOSAL_UNKNOWN: Advice(
        "No such proposal.", "List the proposals and check the id."
    ),
    Outcome.VOTE_NOT_VALIDATOR: Advice(
        "The member is no validator of the epoch in force.", "Only validators vote."
    ),
    Outcome.VOTE_PROPOSAL_CLOSED: Advice("The proposal is decided already.", "Nothing to do."),
    Outcome.VOTE_PROPOSAL_EXPIRED: Advice(
        "The time to vote on the proposal is over.", "Propose it again."
    ),
    Outcome.VOTE_WITHOUT_EFFECT: Advice("The member has voted so already.", "Nothing to do."),
    Outcome.QUALITY_MONTH_AHEAD: Advice(
        "The quality statement is about a month that has not begun.",
        "State months that have begun; check the month and the ledger's local time.",
    ),
    Outcome.QUALITY_SIZE_AHEAD: Advice(
        "The quality statement speaks as of a log size that is not reached.",
        "Name the size of a checkpoint that the client has verified.",
    ),
    Outcome.QUALITY_SUBMISSION_UNKNOWN: Advice(
        "The quality statement lists what is no accepted submission below its log size.",
        "Count again from the vault and the log; list accepted submissions below the size alone.",
    ),
    Outcome.QUALITY_NOT_OWN: Advice(
        "The quality statement lists a submission of another member.",
        "A member states its own submissions only.",
    ),
    Outcome.QUALITY_COUNT_WRONG: Advice(
        "The quality statement counts more events than a submission has, or more corrections of "
        "a delay than events of that delay.",
        "Count again from the vault and the log.",
    ),
    Outcome.QUALITY_SUPERSEDES_WRONG: Advice(
        "The quality statement does not name the member's last one on that month.",
        "Take the log index of the last one from a verified mirror, and sign again.",
    ),
    Outcome.QUALITY_SIZE_BACK: Advice(
        "The quality statement speaks as of a smaller log size than the one that it supersedes.",
        "Count as of a newer checkpoint.",
    ),
}
