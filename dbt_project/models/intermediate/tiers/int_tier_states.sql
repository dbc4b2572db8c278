-- The effective tier, night after night, from the last accepted night on: it follows the computed tier only for a
-- reason. In this order: leaving the scheme; a manual override; the first tier; the end of an override; a score where
-- there was none; changed rules that give another tier; then the margin at the edge, the minimum dwell, and a trigger
-- (spend changed since the tier was set, no trade for months, scheduled review). A scheme without a row in `stability`
-- follows the computed tier every night.
with recursive inputs as (

    select * from {{ ref('int_tier_inputs') }}

),

tiers as (

    select * from {{ source('rules', 'tiers') }}

),

accepted as (

    select * from {{ source('state', 'customer_tiers') }}

),

states as (

    select
        inputs.customer_id,
        inputs.scheme,
        cast(0 as bigint) as night_number,
        accepted.as_of_date,
        accepted.score,
        cast(null as decimal(7, 6)) as coverage,
        accepted.computed_tier,
        accepted.computed_cause,
        accepted.effective_tier,
        cast(null as varchar) as previous_tier,
        accepted.tier_since,
        accepted.reason,
        cast(null as decimal(18, 2)) as annual_spend,
        accepted.tier_set_spend,
        accepted.tier_set_score,
        coalesce(accepted.correction_points, 0) as correction_points,
        coalesce(accepted.rule_points, 0) as rule_points,
        cast(null as decimal(30, 12)) as from_score,
        cast(0 as decimal(30, 12)) as correction_points_before,
        cast(0 as decimal(30, 12)) as rule_points_before,
        cast(null as varchar) as cause
    from inputs
    left join accepted
        on
            inputs.customer_id = accepted.customer_id
            and inputs.scheme = accepted.scheme
    where inputs.night_number = 1

    union all

    select
        decided.customer_id,
        decided.scheme,
        decided.night_number,
        decided.as_of_date,
        decided.score,
        decided.coverage,
        decided.computed_tier,
        decided.computed_cause,
        decided.effective_tier,
        decided.previous_tier,
        case
            when decided.effective_tier = decided.previous_tier then decided.previous_since else decided.as_of_date
        end as tier_since,
        decided.reason,
        decided.annual_spend,
        case
            when decided.effective_tier = decided.previous_tier then decided.tier_set_spend else decided.annual_spend
        end as tier_set_spend,
        case
            when decided.effective_tier = decided.previous_tier then decided.tier_set_score else decided.score
        end as tier_set_score,
        -- What corrections and rules have added to the score starts over with every tier.
        cast(
            case when decided.effective_tier = decided.previous_tier then decided.correction_points else 0 end
            as decimal(30, 12)
        ) as correction_points,
        cast(
            case when decided.effective_tier = decided.previous_tier then decided.rule_points else 0 end
            as decimal(30, 12)
        ) as rule_points,
        decided.tier_set_score as from_score,
        cast(decided.correction_points as decimal(30, 12)) as correction_points_before,
        cast(decided.rule_points as decimal(30, 12)) as rule_points_before,
        case
            when decided.reason in ('override', 'override_ended') then 'override'
            when decided.reason = 'rules_changed' then 'rule_change'
            when decided.previous_tier is null and decided.is_rule_change and decided.tier_under_old_rules is null
                then 'rule_change'
            when decided.effective_tier is null and decided.tier_under_old_rules is not null then 'rule_change'
            when decided.previous_tier is null or decided.effective_tier is null then 'data'
            else decided.computed_cause
        end as cause
    from (

        select
            reasoned.*,
            case
                when reasoned.reason = 'left' then null
                when reasoned.reason = 'override' then reasoned.override_tier
                when reasoned.reason in ('unchanged', 'within_margin', 'dwell', 'no_trigger')
                    then reasoned.previous_tier
                when reasoned.reason in ('spend_change', 'no_trade', 'review', 'not_scored')
                    then reasoned.candidate_tier
                else reasoned.computed_tier
            end as effective_tier
        from (

            select
                candidates.*,
                case
                    when candidates.computed_tier is null then 'left'
                    when candidates.override_tier is not null then 'override'
                    when candidates.previous_tier is null then 'first_tier'
                    when candidates.previous_reason = 'override' then 'override_ended'
                    when candidates.previous_tier = candidates.computed_tier then 'unchanged'
                    when candidates.previous_tier = 'pending' then 'scored'
                    when candidates.is_rule_change and candidates.is_moved_by_rules then 'rules_changed'
                    when candidates.min_dwell_days is null then 'recomputed'
                    when candidates.previous_tier = candidates.candidate_tier then 'within_margin'
                    when
                        {{ days_between('candidates.previous_since', 'candidates.as_of_date') }}
                        < candidates.min_dwell_days
                        then 'dwell'
                    when candidates.candidate_tier = 'pending' then 'not_scored'
                    when candidates.has_spend_changed then 'spend_change'
                    when candidates.is_idle then 'no_trade'
                    when candidates.is_review_day then 'review'
                    else 'no_trigger'
                end as reason
            from (

                select
                    inputs.*,
                    states.effective_tier as previous_tier,
                    states.tier_since as previous_since,
                    states.reason as previous_reason,
                    states.tier_set_spend,
                    states.tier_set_score,
                    states.correction_points + coalesce(inputs.correction_delta, 0) as correction_points,
                    states.rule_points + coalesce(inputs.rule_delta, 0) as rule_points,
                    coalesce(
                        abs(inputs.annual_spend - states.tier_set_spend) > inputs.spend_change * states.tier_set_spend,
                        false
                    ) as has_spend_changed,
                    inputs.tier_under_old_rules is null
                    or inputs.tier_under_old_rules <> inputs.computed_tier
                    -- The rules no longer know the tier that the customer has.
                    or (inputs.computed_rank is not null and previous_ranks.tier_rank is null) as is_moved_by_rules,
                    case
                        when inputs.computed_rank < previous_ranks.tier_rank
                            then case
                                when inputs.entering_rank < previous_ranks.tier_rank then inputs.entering_tier
                                else states.effective_tier
                            end
                        when inputs.computed_rank > previous_ranks.tier_rank
                            then case
                                when inputs.leaving_rank > previous_ranks.tier_rank then inputs.leaving_tier
                                else states.effective_tier
                            end
                        else inputs.computed_tier
                    end as candidate_tier,
                    case
                        when states.computed_tier = inputs.computed_tier then states.computed_cause
                        when inputs.is_rule_change and inputs.tier_under_old_rules <> inputs.computed_tier
                            then 'rule_change'
                        when
                            inputs.corrected_tier <> states.computed_tier
                            and inputs.corrected_tier = inputs.computed_tier
                            then 'correction'
                        else 'data'
                    end as computed_cause
                from states
                inner join inputs
                    on
                        states.customer_id = inputs.customer_id
                        and states.scheme = inputs.scheme
                        and states.night_number + 1 = inputs.night_number
                left join tiers as previous_ranks
                    on
                        inputs.rules_version = previous_ranks.rules_version
                        and inputs.scheme = previous_ranks.scheme
                        and states.effective_tier = previous_ranks.tier

            ) as candidates

        ) as reasoned

    ) as decided

)

select
    customer_id,
    scheme,
    as_of_date,
    score,
    coverage,
    computed_tier,
    computed_cause,
    effective_tier,
    previous_tier,
    tier_since,
    reason,
    cause,
    annual_spend,
    tier_set_spend,
    tier_set_score,
    correction_points,
    rule_points,
    from_score,
    correction_points_before,
    rule_points_before
from states
where night_number > 0 and (effective_tier is not null or previous_tier is not null)
