//! The list of all sentences, area by area. A test of this crate keeps it complete.

/// Makes one `#[tokio::test]` of each sentence of the contract. `$make` is a function beside it that returns an empty
/// store and whatever must live as long as the store, such as its directory.
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
                a_paused_lane_waits_for_its_owner,
                every_health_reads_back,
                an_open_lane_waits_until_its_time_whoever_owned_it,
                a_gone_lane_waits_for_its_owner_who_forgives,
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
                a_delivery_recorded_twice_is_listed_once,
                the_log_shows_names_of_now,
                the_log_of_another_account_is_out_of_sight,
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
                    let (store, _kept) = super::$make();
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
            include_str!("roster.rs"),
            include_str!("audience.rs"),
            include_str!("catalog.rs"),
            include_str!("subscriptions.rs"),
            include_str!("lanes.rs"),
            include_str!("settling.rs"),
            include_str!("journal.rs"),
            include_str!("inbox.rs"),
        ];
        let listed = include_str!("suite.rs");
        for sentence in areas.iter().flat_map(|area| area.split("\npub async fn ").skip(1)) {
            let name = sentence.split('<').next().unwrap_or_default();
            assert!(listed.contains(&format!(" {name},\n")), "{name} is not in the suite");
        }
    }
}
