//! The list of all sentences, area by area. A test of this crate keeps it complete.

/// What a function that makes a store for a test returns: the store and whatever must live as long, such as its directory;
/// or nothing, where it needs what is not there and has said so.
pub trait Made {
    /// The store.
    type Store;
    /// What is kept beside it.
    type Kept;

    /// Both, if there is a store.
    fn made(self) -> Option<(Self::Store, Self::Kept)>;
}

impl<S: store::Store, K> Made for (S, K) {
    type Store = S;
    type Kept = K;

    fn made(self) -> Option<(S, K)> {
        Some(self)
    }
}

impl<S: store::Store, K> Made for Option<(S, K)> {
    type Store = S;
    type Kept = K;

    fn made(self) -> Option<(S, K)> {
        self
    }
}

/// Makes one `#[tokio::test]` of each sentence of the contract. `$make` is a function beside it that returns [`Made`].
#[macro_export]
macro_rules! suite {
    ($make:ident) => {
        $crate::sentences!(
            $make,
            accounts,
            [
                an_account_is_listed_with_its_first_key,
                an_account_is_made_once,
                accounts_are_listed_oldest_first,
                a_key_needs_an_account,
                a_public_id_is_given_out_once,
                a_revoked_key_is_found_with_the_time_of_its_end,
                keys_are_listed_oldest_first_revoked_ones_too,
                a_key_of_another_account_cannot_be_revoked,
                a_key_keeps_its_scopes_its_end_and_its_last_use,
                a_replaced_key_is_good_for_the_overlap_and_never_longer_than_before,
                only_a_good_key_is_replaced_and_only_by_its_account,
            ]
        );
        $crate::sentences!(
            $make,
            audit,
            [
                an_act_is_noted_with_who_when_and_from_where,
                what_fails_or_changes_nothing_is_not_noted,
                the_log_comes_newest_first_in_pages,
                the_log_of_another_account_is_out_of_sight,
            ]
        );
        $crate::sentences!(
            $make,
            roster,
            [
                a_mango_is_made_once_in_an_account_that_exists,
                mangoes_come_in_pages_with_their_active_members,
                mangoes_are_named_in_the_order_asked_for,
                enrolling_counts_who_is_new_changed_or_just_so,
                one_address_is_one_person_in_whatever_case,
                people_are_numbered_from_one_in_each_account,
                who_leaves_may_come_back,
                people_join_only_what_exists,
                further_columns_stay_where_a_list_has_none,
                an_unusual_person_reads_back,
                a_preview_sees_whom_a_save_would_tell,
                the_roster_of_another_account_is_out_of_sight,
            ]
        );
        $crate::sentences!(
            $make,
            audience,
            [
                who_joins_after_the_event_is_not_told,
                who_leaves_after_the_event_is_still_told,
                who_left_before_is_told_only_after_coming_back,
                members_of_several_mangoes_are_told_once,
                people_registered_for_the_series_are_told,
                who_registers_late_is_told_alone_and_once,
                a_late_registration_from_an_old_version_leaves_no_trace,
                whoever_has_only_excluded_mangoes_is_left_out,
                exclusion_is_frozen_with_the_event,
                pages_follow_each_other_and_ranks_count_on,
                contact_data_are_those_of_the_sending,
                an_event_may_concern_nobody,
                an_audience_is_counted_by_the_first_lane_and_stays,
                an_unknown_fan_out_and_that_of_another_account_have_no_audience,
            ]
        );
        $crate::sentences!(
            $make,
            catalog,
            [
                a_series_reads_back_as_it_was_saved,
                each_save_is_a_version,
                a_cancelled_series_says_since_when,
                a_save_from_an_old_version_leaves_no_trace,
                an_event_id_is_used_once_and_a_refused_save_leaves_no_trace,
                a_failing_write_does_not_hurt_those_beside_it,
                each_endpoint_that_subscribes_is_told_once,
                a_filter_takes_a_series_or_one_of_its_sessions_even_a_removed_one,
                a_session_leads_to_its_series_even_after_it_was_removed,
                series_and_events_come_newest_first_in_pages,
                an_event_keeps_the_snapshot_it_announces,
                the_catalog_of_another_account_is_out_of_sight,
                a_series_needs_an_account,
            ]
        );
        $crate::sentences!(
            $make,
            subscriptions,
            [
                the_first_subscription_brings_its_endpoint_and_secret,
                the_same_subscription_twice_is_one,
                another_wish_at_a_known_url_keeps_its_endpoint_and_secret,
                who_ends_a_subscription_gets_what_was_promised_and_no_more,
                a_switch_is_kept,
                subscriptions_and_endpoints_come_oldest_first_in_pages,
                the_endpoints_of_another_account_are_out_of_sight,
                an_id_is_given_to_one_subscription_in_an_account_that_exists,
            ]
        );
        $crate::sentences!(
            $make,
            secrets,
            [
                an_old_secret_stays_valid_beside_the_new_one_until_its_end,
                without_an_overlap_only_the_new_secret_is_left,
                a_secret_that_was_to_end_sooner_still_does,
                a_key_pair_replaces_a_shared_secret,
                only_a_few_secrets_are_valid_at_once,
                expired_secrets_are_removed_and_no_others,
                a_lane_learns_of_a_new_secret_when_it_commits,
                the_secrets_of_another_account_are_out_of_reach,
            ]
        );
        $crate::sentences!(
            $make,
            lanes,
            [
                a_lane_is_claimed_when_a_series_is_saved_and_not_before,
                a_claimed_lane_has_one_owner_until_its_lease_runs_out,
                a_renewed_lease_lasts_longer,
                an_owner_that_was_slow_keeps_what_nobody_took,
                a_stale_owner_changes_nothing,
                a_released_lease_is_over,
                a_lease_of_another_account_or_of_nothing_is_refused,
                a_released_lane_is_due_again_only_with_work,
                a_lane_with_retries_only_is_due_when_the_first_is,
                lanes_are_claimed_longest_due_first_and_no_more_than_asked,
                a_node_may_leave_what_has_just_become_due_to_others,
                a_paused_lane_waits_for_its_owner,
                every_health_reads_back,
                an_open_lane_waits_until_its_time_whoever_owned_it,
                a_gone_or_disabled_lane_waits_for_its_owner_who_forgives,
            ]
        );
        $crate::sentences!(
            $make,
            settling,
            [
                work_says_what_to_send_where,
                fan_outs_are_worked_in_the_order_of_their_events,
                a_new_owner_goes_on_behind_the_cursor,
                who_is_finished_beyond_the_cursor_is_known_to_a_new_owner,
                a_straggler_counts_as_finished_and_comes_as_a_retry,
                retries_come_longest_due_first_and_not_before,
                retries_stay_in_their_own_lane,
                counts_follow_each_delivery_to_its_end,
                a_swept_fan_out_is_told_as_such_and_is_no_more_work,
            ]
        );
        $crate::sentences!(
            $make,
            backlog,
            [
                a_paused_fan_out_keeps_everything_and_goes_on_where_it_stood,
                what_comes_back_to_a_paused_fan_out_is_held_too,
                a_cancelled_fan_out_skips_what_has_not_arrived,
                what_arrives_after_the_cancelling_counts_as_delivered,
                one_endpoint_of_an_event_is_steered_alone,
                a_dropped_backlog_is_skipped_and_later_events_are_not,
                a_newer_version_supersedes_older_ones_where_that_is_wished,
                a_word_to_newcomers_supersedes_nothing,
                a_retry_knows_that_its_person_has_a_newer_version,
                the_settings_of_an_endpoint_read_back,
                progress_tells_what_an_endpoint_gets_first_and_how_fast,
                accounts_that_have_their_share_are_passed_over,
                orders_of_another_account_find_nothing,
            ]
        );
        $crate::sentences!(
            $make,
            replays,
            [
                failed_deliveries_are_revived_each_once_in_chunks,
                a_revived_delivery_is_its_last_replays,
                only_what_failed_in_time_and_may_leave_is_revived,
                what_fails_after_the_start_is_left_to_the_next_replay,
                a_paused_or_cancelled_replay_has_no_turn,
                a_whole_event_is_sent_again_by_fan_outs_of_its_own,
                one_delivery_that_arrived_is_sent_again_alone,
                an_outdated_version_is_sent_again_only_on_purpose,
                a_replay_ends_where_a_newer_version_is_announced,
                a_slow_replay_takes_no_place_from_what_is_announced,
                a_replay_that_resends_is_steered_by_its_fan_outs,
                an_account_has_few_replays_under_way,
                replays_of_another_account_are_out_of_sight,
            ]
        );
        $crate::sentences!(
            $make,
            journal,
            [
                a_delivery_not_yet_tried_is_not_in_the_log,
                the_log_is_newest_fan_out_first_and_failures_before_successes,
                pages_of_any_size_make_the_same_log_under_every_filter,
                only_the_endpoint_asked_for_is_listed,
                a_cursor_of_another_list_brings_nothing_the_filter_forbids,
                a_listed_delivery_tells_how_it_stands,
                one_delivery_shows_its_attempts_first_to_last,
                a_straggler_waits_without_an_attempt,
                a_failure_without_details_is_shown_without,
                an_attempt_made_again_under_its_number_keeps_its_own_failure,
                an_endpoint_tells_its_last_failure,
                a_delivery_recorded_twice_is_listed_once,
                the_log_shows_names_of_now,
                the_log_of_another_account_is_out_of_sight,
            ]
        );
        $crate::sentences!(
            $make,
            notices,
            [
                a_notice_reads_back_and_is_owed_to_those_who_ask_for_its_kind,
                an_endpoint_is_not_told_of_itself_and_each_other_once,
                a_webinar_tells_nobody_who_asked_for_notices,
                a_claimed_notice_is_one_owners_until_its_time_is_over,
                a_notice_is_sent_until_it_is_delivered_or_given_up,
                a_notice_to_a_paused_endpoint_waits,
                accounts_take_turns_at_their_notices,
                notices_come_newest_first_in_pages_and_are_read_once,
                the_notices_of_another_account_are_out_of_sight,
                a_notice_has_an_id_of_its_own_in_an_account_that_exists,
            ]
        );
        $crate::sentences!(
            $make,
            rules,
            [
                what_was_announced_reads_back,
                series_to_come_are_compared_once_with_each_tz_database,
                a_series_that_is_over_is_not_compared,
                series_to_compare_come_in_pages_those_that_end_soonest_first,
                the_announcements_of_another_account_are_out_of_sight,
            ]
        );
        $crate::sentences!(
            $make,
            inbox,
            [
                a_source_reads_back_and_its_id_is_given_once,
                the_keys_of_a_source_are_replaced_for_its_owner_alone,
                a_message_is_stored_as_it_came,
                an_empty_and_a_large_body_are_stored_too,
                a_copy_is_recognised_and_counted,
                other_content_under_the_same_id_is_a_conflict_and_not_kept,
                two_sources_may_use_the_same_id,
                a_hundred_copies_at_once_are_one_message,
                messages_come_newest_first_in_pages_without_bodies,
                the_inbox_of_another_account_is_out_of_sight,
                what_came_before_the_window_is_no_longer_repeated,
                messages_are_listed_by_when_they_came,
                what_is_missing_of_a_fan_out_shows,
            ]
        );
        $crate::sentences!(
            $make,
            runs,
            [
                a_handler_begins_where_it_is_told_and_keeps_its_place,
                a_handler_is_one_nodes_until_its_lease_is_over,
                a_stale_owner_of_a_handler_changes_nothing,
                new_messages_come_in_order_and_those_with_a_row_do_not,
                what_waits_comes_first_when_it_is_due_oldest_first,
                what_is_busy_is_not_given_again,
                bodies_are_bounded_but_for_the_first,
                a_message_that_was_emptied_is_due_too,
                a_cursor_never_falls,
                the_newest_version_handled_stays,
                runs_go_with_their_messages,
                the_handlers_of_another_account_are_out_of_sight,
            ]
        );
        $crate::sentences!(
            $make,
            orders,
            [
                how_far_each_handler_is,
                runs_are_listed_newest_message_first_in_pages_under_every_filter,
                a_run_asked_for_anew_is_left_alone_by_an_old_settlement,
                a_rerun_is_spread_over_time_and_takes_in_what_was_passed_over,
                an_order_keeps_to_its_scope,
                what_is_dropped_is_not_tried_again,
                dropping_everything_leaves_nothing_to_come,
                dropping_what_one_source_sent_leaves_the_others,
            ]
        );
        $crate::sentences!(
            $make,
            agendas,
            [
                an_agenda_reads_back_and_an_older_word_changes_nothing,
                a_calendar_has_one_address_that_shows_it,
                agendas_are_kept_under_names_of_any_length,
                who_is_erased_has_no_agenda_and_no_calendar,
                what_was_under_way_when_somebody_was_erased_leaves_no_agenda,
            ]
        );
        $crate::sentences!(
            $make,
            erasures,
            [
                who_is_erased_is_on_no_list_and_comes_back_as_somebody_else,
                only_ones_own_people_are_erased_and_only_who_is_there,
                a_frozen_audience_keeps_the_place_of_who_is_erased,
                a_later_audience_has_no_place_for_who_was_erased,
                a_retry_of_who_is_erased_is_called_off_and_nobody_elses,
                what_was_on_its_way_to_who_is_erased_ends_with_its_outcome,
                who_is_erased_before_their_turn_is_in_the_log_as_such,
                the_inbox_is_searched_as_it_was_and_a_late_copy_is_known,
                a_search_that_two_do_at_once_counts_once,
            ]
        );
        $crate::sentences!(
            $make,
            upkeep,
            [
                a_retention_reads_back_and_is_an_accounts_own,
                bodies_go_before_the_messages_that_had_them,
                an_ended_log_goes_and_its_counts_stay_as_long_as_its_event,
                what_is_pending_is_never_let_go,
                an_outcome_is_kept_from_its_own_time_on,
                who_left_is_kept_for_an_audience_whose_node_had_another_clock,
                old_versions_memberships_and_erasures_go,
                keys_are_let_go_when_many_of_them_no_longer_count,
            ]
        );
        $crate::sentences!(
            $make,
            nodes,
            [
                a_node_that_is_seen_is_among_the_living,
                a_node_that_takes_no_lanes_is_seen_without_a_load,
                what_a_node_tells_last_is_listed_since_it_was_first_seen,
                a_silent_node_is_forgotten_by_the_others_and_new_when_it_comes_back,
                a_node_that_leaves_is_gone_at_once,
            ]
        );
    };
}

/// Makes the tests of one area.
#[doc(hidden)]
#[macro_export]
macro_rules! sentences {
    ($make:ident, $area:ident, [$($sentence:ident),* $(,)?]) => {
        mod $area {
            $(
                #[tokio::test]
                async fn $sentence() -> $crate::StoreResult<()> {
                    let Some((store, _kept)) = $crate::Made::made(super::$make()) else { return Ok(()) };
                    $crate::$area::$sentence($crate::World::new(store)).await
                }
            )*
        }
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_sentence_of_every_area_is_in_the_suite() {
        let areas = [
            include_str!("accounts.rs"),
            include_str!("backlog.rs"),
            include_str!("replays.rs"),
            include_str!("roster.rs"),
            include_str!("audience.rs"),
            include_str!("audit.rs"),
            include_str!("catalog.rs"),
            include_str!("subscriptions.rs"),
            include_str!("secrets.rs"),
            include_str!("lanes.rs"),
            include_str!("settling.rs"),
            include_str!("journal.rs"),
            include_str!("notices.rs"),
            include_str!("rules.rs"),
            include_str!("inbox.rs"),
            include_str!("runs.rs"),
            include_str!("orders.rs"),
            include_str!("agendas.rs"),
            include_str!("erasures.rs"),
            include_str!("upkeep.rs"),
            include_str!("nodes.rs"),
        ];
        let listed = include_str!("suite.rs");
        for sentence in areas.iter().flat_map(|area| area.split("\npub async fn ").skip(1)) {
            let name = sentence.split('<').next().unwrap_or_default();
            assert!(listed.contains(&format!(" {name},\n")), "{name} is not in the suite");
        }
    }
}
