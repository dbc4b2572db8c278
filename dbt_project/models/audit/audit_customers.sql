-- The audit sample: of each scheme's best tier that has customers, a share of them (setting `audit_share`, rounded up,
-- at most `audit_max_customers`), chosen by a hash of seed, night and customer. The same night has the same sample, the
-- next one has another. Only the newest of the computed nights is audited.
with tiers as (

    select * from {{ ref('fct_customer_tiers') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

schemes as (

    select * from {{ source('rules', 'schemes') }}

),

ranks as (

    select * from {{ source('rules', 'tiers') }}

),

-- Rules that were kept before these settings existed have none.
settings as (

    select
        as_of_dates.as_of_date,
        as_of_dates.rules_version,
        coalesce(max(case when settings.setting = 'audit_seed' then settings.value end), '1') as seed,
        cast(
            coalesce(max(case when settings.setting = 'audit_share' then settings.value end), '0.10') as decimal(7, 6)
        ) as share,
        cast(
            coalesce(max(case when settings.setting = 'audit_max_customers' then settings.value end), '200') as integer
        ) as max_customers
    from as_of_dates
    inner join {{ source('rules', 'settings') }} as settings
        on as_of_dates.rules_version = settings.rules_version
    where as_of_dates.as_of_date = (select max(newest.as_of_date) from as_of_dates as newest)
    group by as_of_dates.as_of_date, as_of_dates.rules_version

),

-- A customer without a computed tier (it left the scheme) has nothing that could be computed again.
in_tiers as (

    select
        settings.as_of_date,
        settings.rules_version,
        tiers.scheme,
        tiers.customer_id,
        tiers.effective_tier as tier,
        ranks.tier_rank,
        settings.share,
        settings.max_customers,
        md5(settings.seed || '|' || cast(settings.as_of_date as varchar) || '|' || tiers.customer_id) as hash
    from tiers
    inner join settings
        on tiers.as_of_date = settings.as_of_date
    inner join ranks
        on
            settings.rules_version = ranks.rules_version
            and tiers.scheme = ranks.scheme
            and tiers.effective_tier = ranks.tier
    where tiers.computed_tier is not null

),

best_tiers as (

    select
        scheme,
        min(tier_rank) as tier_rank
    from in_tiers
    group by scheme

),

ranked as (

    select
        in_tiers.as_of_date,
        in_tiers.rules_version,
        in_tiers.scheme,
        in_tiers.customer_id,
        in_tiers.tier,
        in_tiers.share,
        in_tiers.max_customers,
        row_number() over (partition by in_tiers.scheme order by in_tiers.hash, in_tiers.customer_id) as place,
        count(*) over (partition by in_tiers.scheme) as tier_customers
    from in_tiers
    inner join best_tiers
        on
            in_tiers.scheme = best_tiers.scheme
            and in_tiers.tier_rank = best_tiers.tier_rank

)

select
    ranked.as_of_date,
    ranked.rules_version,
    ranked.scheme,
    schemes.kind,
    ranked.customer_id,
    ranked.tier,
    ranked.tier_customers
from ranked
inner join schemes
    on
        ranked.rules_version = schemes.rules_version
        and ranked.scheme = schemes.scheme
where ranked.place <= least(ranked.max_customers, ceil(ranked.tier_customers * ranked.share))
