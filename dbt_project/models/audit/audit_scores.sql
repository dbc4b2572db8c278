-- Score and computed tier of the sampled customers from the indicators computed again and the rules of the night. Only
-- schemes of kinds weighted and bands: the others compare customers with each other. `unknown` names the indicators
-- that the score needs and that were not computed again; then there is neither score nor tier.
with sampled as (

    select * from {{ ref('audit_customers') }}
    where kind in ('weighted', 'bands')

),

uses as (

    select
        parts.rules_version,
        parts.scheme,
        parts.dimension,
        parts.indicator,
        parts.missing,
        parts.missing_score,
        dimensions.measure,
        parts.weight as weight_in_dimension,
        cast(dimensions.weight * parts.weight as decimal(14, 12)) as weight
    from {{ source('rules', 'scheme_indicators') }} as parts
    inner join {{ source('rules', 'scheme_dimensions') }} as dimensions
        on
            parts.rules_version = dimensions.rules_version
            and parts.scheme = dimensions.scheme
            and parts.dimension = dimensions.dimension

),

-- The mean of all customers, which a sample cannot know: as published.
neutral as (

    select distinct
        as_of_date,
        scheme,
        dimension,
        indicator,
        score
    from {{ ref('fct_indicator_scores') }}
    where status = 'neutral'

),

found as (

    select
        sampled.customer_id,
        sampled.scheme,
        uses.dimension,
        uses.indicator,
        uses.missing,
        uses.weight_in_dimension,
        uses.weight,
        neutral.score as neutral_score,
        again.indicator is not null as is_known,
        case
            when uses.measure <> 'score' then again.raw_value
            when again.raw_level is not null then levels.score
            else bands.score
        end as measured,
        case uses.missing when 'impute' then uses.missing_score when 'neutral' then neutral.score end as stand_in
    from sampled
    inner join uses
        on
            sampled.rules_version = uses.rules_version
            and sampled.scheme = uses.scheme
    left join neutral
        on
            sampled.as_of_date = neutral.as_of_date
            and uses.scheme = neutral.scheme
            and uses.dimension = neutral.dimension
            and uses.indicator = neutral.indicator
    left join {{ ref('audit_indicators') }} as again
        on
            sampled.customer_id = again.customer_id
            and sampled.as_of_date = again.as_of_date
            and uses.indicator = again.indicator
    left join {{ source('rules', 'score_bands') }} as bands
        on
            uses.rules_version = bands.rules_version
            and uses.scheme = bands.scheme
            and uses.indicator = bands.indicator
            and {{ between_edges('again.raw_value', 'bands') }}
    left join {{ source('rules', 'level_scores') }} as levels
        on
            uses.rules_version = levels.rules_version
            and uses.scheme = levels.scheme
            and uses.indicator = levels.indicator
            and again.raw_level = levels.level

),

-- What is known of a dimension stands in for what is left out of it.
means as (

    select
        customer_id,
        scheme,
        dimension,
        round(
            cast(sum(coalesce(measured, stand_in) * weight_in_dimension) as double)
            / sum(case when coalesce(measured, stand_in) is not null then weight_in_dimension end),
            2
        ) as mean_score
    from found
    group by customer_id, scheme, dimension

),

filled as (

    select
        found.customer_id,
        found.scheme,
        found.indicator,
        found.is_known,
        found.measured,
        found.weight,
        cast(
            coalesce(
                found.measured,
                found.stand_in,
                case when found.missing = 'renormalise' then coalesce(means.mean_score, found.neutral_score) end
            ) as decimal(24, 6)
        ) as score
    from found
    inner join means
        on
            found.customer_id = means.customer_id
            and found.scheme = means.scheme
            and found.dimension = means.dimension

),

summed as (

    select
        customer_id,
        scheme,
        nullif({{ join_texts('case when not is_known then indicator end', 'indicator') }}, '') as unknown,
        count(case when is_known and score is null then 1 end) as pending,
        cast(
            coalesce(sum(case when measured is not null then weight end), 0) / sum(weight) as decimal(7, 6)
        ) as coverage,
        sum(score * weight) as weighted
    from filled
    group by customer_id, scheme

),

scored as (

    select
        sampled.as_of_date,
        sampled.rules_version,
        sampled.scheme,
        sampled.kind,
        sampled.customer_id,
        summed.unknown,
        summed.coverage,
        cast(
            case when summed.unknown is null and summed.pending = 0 then summed.weighted end as decimal(30, 12)
        ) as score
    from sampled
    inner join summed
        on
            sampled.customer_id = summed.customer_id
            and sampled.scheme = summed.scheme

),

banded as (

    select
        scored.as_of_date,
        scored.rules_version,
        scored.scheme,
        scored.customer_id,
        scored.score,
        scored.unknown,
        scored.coverage,
        coalesce(scored.coverage < schemes.least_coverage, false) as is_too_little_known,
        bands.tier
    from scored
    inner join {{ source('rules', 'schemes') }} as schemes
        on
            scored.rules_version = schemes.rules_version
            and scored.scheme = schemes.scheme
    left join {{ source('rules', 'tier_bands') }} as bands
        on
            scored.rules_version = bands.rules_version
            and scored.scheme = bands.scheme
            and (bands.dimension = '') = (scored.kind = 'weighted')
            and {{ between_edges('scored.score', 'bands') }}

),

-- The tiers from the one of the score downwards, each with the needs that the customer does not meet; what is unknown
-- of it fails none.
steps as (

    select
        banded.customer_id,
        banded.scheme,
        tiers.tier,
        tiers.tier_rank,
        count(
            case
                when asked.indicator = 'coverage' and banded.coverage < asked.lower_bound then 1
                when again.raw_value < asked.lower_bound then 1
            end
        ) as unmet,
        nullif(
            {{ join_texts(
                "case when again.indicator is null and asked.indicator <> 'coverage' then asked.indicator end",
                'asked.indicator'
            ) }}, ''
        ) as unknown
    from banded
    inner join {{ source('rules', 'tiers') }} as own
        on
            banded.rules_version = own.rules_version
            and banded.scheme = own.scheme
            and banded.tier = own.tier
    inner join {{ source('rules', 'tiers') }} as tiers
        on
            banded.rules_version = tiers.rules_version
            and banded.scheme = tiers.scheme
            and own.tier_rank <= tiers.tier_rank
    left join {{ source('rules', 'tier_caps') }} as asked
        on
            tiers.rules_version = asked.rules_version
            and tiers.scheme = asked.scheme
            and tiers.tier = asked.tier
    left join {{ ref('audit_indicators') }} as again
        on
            banded.customer_id = again.customer_id
            and banded.as_of_date = again.as_of_date
            and asked.indicator = again.indicator
    group by banded.customer_id, banded.scheme, tiers.tier, tiers.tier_rank

),

caps as (

    select
        customer_id,
        scheme,
        {{ join_texts('unknown', 'tier_rank') }} as unknown,
        min_by(tier, case when unmet = 0 then tier_rank end) as tier
    from steps
    group by customer_id, scheme

)

select
    banded.as_of_date,
    banded.scheme,
    banded.customer_id,
    banded.score,
    banded.unknown as score_unknown,
    case
        when banded.unknown is not null or caps.unknown is not null then null
        when banded.score is null or banded.is_too_little_known then 'pending'
        else coalesce(caps.tier, banded.tier, 'pending')
    end as tier,
    coalesce(banded.unknown, caps.unknown) as tier_unknown
from banded
left join caps
    on
        banded.customer_id = caps.customer_id
        and banded.scheme = caps.scheme
