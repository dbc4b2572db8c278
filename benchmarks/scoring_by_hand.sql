-- Score and tier of every customer in twelve default schemes, as one would write it for these schemes alone: the scheme
-- files are CASE expressions here, so changing a scheme means changing this query. Same figures as int_computed_tiers.
with customers as (

    select
        indicators.*,
        customers.customer_kind = 'consumer' as is_consumer
    from intermediate.int_customer_indicators as indicators
    inner join intermediate.int_customers as customers
        on indicators.customer_id = customers.customer_id
    where indicators.order_frequency > 0

),

banded as (

    select
        *,
        case
            when annual_spend >= 10000000 then 100
            when annual_spend >= 5000000 then 80
            when annual_spend < 5000000 then 60
        end as spend_4,
        case
            when profit_margin >= 0.18 then 100
            when profit_margin >= 0.15 then 90
            when profit_margin >= 0.10 then 75
            when profit_margin >= 0.05 then 60
            when profit_margin < 0.05 then 40
        end as margin_5,
        case
            when tenure_years >= 5 then 100
            when tenure_years >= 3 then 80
            when tenure_years >= 1 then 60
            when tenure_years < 1 then 40
        end as tenure,
        case
            when cross_buy_rate >= 0.35 then 100
            when cross_buy_rate >= 0.20 then 80
            when cross_buy_rate >= 0.10 then 60
            when cross_buy_rate < 0.10 then 40
        end as cross_buy,
        case
            when annual_spend >= 10000000 then 100
            when annual_spend >= 5000000 then 82
            when annual_spend >= 1000000 then 67
            when annual_spend < 1000000 then 40
        end as spend_360,
        case
            when profit_margin >= 0.15 then 100
            when profit_margin >= 0.10 then 82
            when profit_margin >= 0.05 then 67
            when profit_margin < 0.05 then 40
        end as margin_360,
        case
            when industry_rank <= 10 then 100
            when industry_rank <= 20 then 82
            when industry_rank <= 50 then 67
            when industry_rank > 50 then 40
        end as rank_360,
        case
            when demand_match >= 0.90 then 100
            when demand_match >= 0.70 then 82
            when demand_match >= 0.50 then 67
            when demand_match < 0.50 then 40
        end as match_360,
        case
            when churn_rate < 0.05 then 100
            when churn_rate < 0.10 then 82
            when churn_rate <= 0.15 then 67
            when churn_rate > 0.15 then 40
        end as churn_360,
        case
            when on_time_payment_rate >= 1 then 100
            when on_time_payment_rate >= 0.95 then 82
            when on_time_payment_rate >= 0.90 then 67
            when on_time_payment_rate < 0.90 then 40
        end as payment_360,
        case strategic_level
            when 'national_key' then 100
            when 'regional_leader' then 82
            when 'ordinary' then 67
            when 'non_core' then 40
        end as strategic_360,
        case
            when orders_12m >= 24 then 100
            when orders_12m >= 12 then 80
            when orders_12m >= 4 then 60
            when orders_12m < 4 then 40
        end as orders_member,
        case
            when average_order_value >= 1000 then 100
            when average_order_value >= 500 then 80
            when average_order_value >= 200 then 60
            when average_order_value < 200 then 40
        end as order_value_member,
        case
            when active_days_90d >= 30 then 100
            when active_days_90d >= 10 then 80
            when active_days_90d >= 3 then 60
            when active_days_90d < 3 then 40
        end as days_member,
        case
            when demand_match >= 0.90 then 100
            when demand_match >= 0.70 then 80
            when demand_match >= 0.50 then 60
            when demand_match < 0.50 then 40
        end as match_kaism,
        case
            when industry_growth >= 0.10 then 100
            when industry_growth >= 0.05 then 80
            when industry_growth >= 0.03 then 60
            when industry_growth < 0.03 then 40
        end as growth_kaism,
        case company_size
            when '大型' then 100
            when '中型' then 80
            when '小型' then 60
            when '微型' then 40
        end as size_kaism,
        case
            when csat >= 0.95 then 100
            when csat >= 0.85 then 80
            when csat >= 0.70 then 60
            when csat < 0.70 then 40
        end as csat_kaism,
        case
            when assets >= 50000000 then 100
            when assets >= 20000000 then 75
            when assets >= 5000000 then 50
            when assets < 5000000 then 25
        end as assets_stability,
        case
            when orders_90d >= 4 then 100
            when orders_90d >= 2 then 75
            when orders_90d >= 1 then 50
            when orders_90d < 1 then 0
        end as orders_stability,
        case
            when products_held >= 20 then 100
            when products_held >= 10 then 75
            when products_held >= 4 then 50
            when products_held < 4 then 25
        end as products_stability,
        case when annual_spend is not null then percent_rank() over by_spend end as spend_place,
        case when industry_growth is not null then percent_rank() over by_growth end as growth_place,
        case when annual_spend is not null then row_number() over best_spend end as spend_position,
        case when profit_contribution is not null then row_number() over best_profit end as profit_position,
        count(annual_spend) over () as spend_customers,
        count(profit_contribution) over () as profit_customers
    from customers
    window
        by_spend as (partition by annual_spend is null order by annual_spend),
        by_growth as (partition by industry_growth is null order by industry_growth),
        best_spend as (partition by annual_spend is null order by annual_spend desc, customer_id asc),
        best_profit as (partition by profit_contribution is null order by profit_contribution desc, customer_id asc)

),

-- What is unknown counts with the mean of the others.
means as (

    select
        cast(round(avg(margin_360), 2) as decimal(7, 2)) as margin_360,
        cast(round(avg(rank_360), 2) as decimal(7, 2)) as rank_360,
        cast(round(avg(match_360), 2) as decimal(7, 2)) as match_360,
        cast(round(avg(churn_360), 2) as decimal(7, 2)) as churn_360,
        cast(round(avg(payment_360), 2) as decimal(7, 2)) as payment_360,
        cast(round(avg(strategic_360), 2) as decimal(7, 2)) as strategic_360,
        cast(round(avg(match_kaism), 2) as decimal(7, 2)) as match_kaism,
        cast(round(avg(growth_kaism), 2) as decimal(7, 2)) as growth_kaism,
        cast(round(avg(size_kaism), 2) as decimal(7, 2)) as size_kaism,
        cast(round(avg(tenure), 2) as decimal(7, 2)) as tenure,
        cast(round(avg(cross_buy), 2) as decimal(7, 2)) as cross_buy,
        cast(round(avg(csat_kaism), 2) as decimal(7, 2)) as csat_kaism,
        cast(round(avg(assets_stability), 2) as decimal(7, 2)) as assets_stability
    from banded

),

scored as (

    select
        banded.*,
        0.40 * spend_4 + 0.25 * margin_5 + 0.20 * banded.tenure + 0.15 * banded.cross_buy as account_value,
        0.24 * spend_360 + 0.16 * coalesce(banded.margin_360, means.margin_360) + 0.15 * coalesce(banded.rank_360, means.rank_360)
        + 0.15 * coalesce(banded.match_360, means.match_360) + 0.10 * coalesce(banded.churn_360, means.churn_360)
        + 0.10 * coalesce(banded.payment_360, means.payment_360)
        + 0.10 * coalesce(banded.strategic_360, means.strategic_360) as account_360,
        0.24
        + case when banded.margin_360 is null then 0 else 0.16 end
        + case when banded.rank_360 is null then 0 else 0.15 end
        + case when banded.match_360 is null then 0 else 0.15 end
        + case when banded.churn_360 is null then 0 else 0.10 end
        + case when banded.payment_360 is null then 0 else 0.10 end
        + case when banded.strategic_360 is null then 0 else 0.10 end as known_360,
        0.40 * orders_member + 0.30 * order_value_member + 0.30 * days_member as member,
        case
            when coalesce(banded.match_kaism, banded.growth_kaism, banded.size_kaism) is not null
                then 0.40 * coalesce(banded.match_kaism, means.match_kaism)
                    + 0.30 * coalesce(banded.growth_kaism, means.growth_kaism)
                    + 0.30 * coalesce(banded.size_kaism, means.size_kaism)
        end as attractiveness,
        case
            when coalesce(banded.tenure, banded.cross_buy, banded.csat_kaism) is not null
                then 0.40 * coalesce(banded.tenure, means.tenure)
                    + 0.30 * coalesce(banded.cross_buy, means.cross_buy)
                    + 0.30 * coalesce(banded.csat_kaism, means.csat_kaism)
        end as strength,
        case when banded.match_kaism is null then 0 else 0.20 end
        + case when banded.growth_kaism is null then 0 else 0.15 end
        + case when banded.size_kaism is null then 0 else 0.15 end
        + case when banded.tenure is null then 0 else 0.20 end
        + case when banded.cross_buy is null then 0 else 0.15 end
        + case when banded.csat_kaism is null then 0 else 0.15 end as known_kaism,
        0.40 * coalesce(banded.assets_stability, means.assets_stability) + 0.30 * orders_stability
        + 0.30 * products_stability as stability
    from banded
    cross join means

),

middles as (

    select
        -quantile_disc(-attractiveness, 0.5) as attractiveness_middle,
        -quantile_disc(-strength, 0.5) as strength_middle
    from scored

),

tiered as (

    select
        *,
        case
            when account_value >= 90 then 'strategic'
            when account_value >= 75 then 'key'
            when account_value >= 60 then 'standard'
            when account_value < 60 then 'potential'
        end as account_value_tier,
        case
            when account_360 is null or known_360 < 0.40 then 'pending'
            when account_360 >= 90 and known_360 >= 0.80 and coalesce(on_time_payment_rate >= 0.95, true)
                then 'strategic'
            when account_360 >= 75 and known_360 >= 0.60 and coalesce(on_time_payment_rate >= 0.90, true) then 'key'
            when account_360 >= 60 then 'standard'
            when account_360 < 60 then 'potential'
        end as account_360_tier,
        case
            when annual_spend > 100000 then 'A'
            when annual_spend >= 50000 then 'B'
            when annual_spend < 50000 then 'C'
        end as spend_abc_tier,
        case
            when member >= 90 then 'diamond'
            when member >= 75 then 'gold'
            when member >= 60 then 'silver'
            when member < 60 then 'regular'
        end as member_tier,
        round(100 * spend_place * 0.6 + 100 * growth_place * 0.4, 6) as value_potential,
        case
            when annual_spend >= 5000000 and industry_growth >= 0.10 then 'S'
            when annual_spend >= 5000000 and industry_growth < 0.10 then 'A'
            when annual_spend < 5000000 and industry_growth >= 0.10 then 'B'
            when annual_spend < 5000000 and industry_growth < 0.10 then 'C'
        end as value_potential_tier,
        case
            when profit_position <= ceil(profit_customers * 0.01) then 'vital'
            when profit_position <= ceil(profit_customers * 0.20) then 'major'
            when profit_position <= ceil(profit_customers * 0.50) then 'ordinary'
            when profit_position is not null then 'small'
        end as pyramid_tier,
        round(cast(attractiveness as double) * 0.5 + cast(strength as double) * 0.5, 6) as kaism,
        case
            when known_kaism < 0.40 then 'pending'
            when attractiveness >= attractiveness_middle and strength >= strength_middle then 'key'
            when attractiveness >= attractiveness_middle and strength < strength_middle then 'development'
            when attractiveness < attractiveness_middle and strength >= strength_middle then 'maintain'
            when attractiveness < attractiveness_middle and strength < strength_middle then 'opportunity'
        end as kaism_tier,
        case
            when spend_position <= ceil(spend_customers * 0.10) then 'top'
            when spend_position is not null then 'rest'
        end as top_decile_tier,
        case
            when on_time_payment_rate >= 0.95 then 'good'
            when on_time_payment_rate >= 0.80 then 'watch'
            when on_time_payment_rate < 0.80 then 'poor'
        end as credit_tier,
        case
            when orders_12m >= 4 and recency_days <= 90 then 'loyal'
            when recency_days > 180 or order_frequency <= 1 then 'unstable'
            else 'general'
        end
        || case
            when industry_growth >= 0.10 then '/important'
            when industry_growth >= 0.03 then '/promising'
            when industry_growth < 0.03 then '/general'
        end
        || case
            when profit_position <= ceil(profit_customers * 0.20) then '/high'
            when profit_position <= ceil(profit_customers * 0.50) then '/mid'
            when profit_position is not null then '/low'
        end as profit_potential_loyalty_tier,
        case
            when stability >= 75 then 'stable'
            when stability >= 50 then 'watch'
            when stability < 50 then 'at_risk'
        end as stability_tier
    from scored
    cross join middles

),

prospects as (

    select
        customer_id,
        case
            when industry_fit >= 0.80 then 100
            when industry_fit >= 0.60 then 80
            when industry_fit >= 0.40 then 60
            when industry_fit < 0.40 then 40
        end as industry,
        case company_size
            when '大型' then 100
            when '中型' then 80
            when '小型' then 60
            when '微型' then 40
        end as size,
        case
            when digital_demand >= 0.80 then 100
            when digital_demand >= 0.60 then 80
            when digital_demand >= 0.40 then 60
            when digital_demand < 0.40 then 40
        end as digital
    from intermediate.int_customer_indicators
    where order_frequency = 0

),

prospect_means as (

    select
        cast(round(avg(size), 2) as decimal(7, 2)) as size,
        cast(round(avg(digital), 2) as decimal(7, 2)) as digital
    from prospects

),

prospects_scored as (

    select
        prospects.customer_id,
        0.40 * prospects.industry + 0.30 * coalesce(prospects.size, prospect_means.size)
        + 0.30 * coalesce(prospects.digital, prospect_means.digital) as prospect
    from prospects
    cross join prospect_means

),

by_scheme as (

    select customer_id, 'account_value' as scheme, cast(account_value as decimal(30, 12)) as score,
        account_value_tier as tier from tiered
    union all
    select customer_id, 'account_360', account_360, account_360_tier from tiered
    union all
    select customer_id, 'spend_abc', annual_spend, spend_abc_tier from tiered
    union all
    select customer_id, 'member', member, member_tier from tiered where is_consumer
    union all
    select customer_id, 'value_potential', cast(value_potential as decimal(30, 12)), value_potential_tier from tiered
    union all
    select customer_id, 'pyramid', profit_contribution, pyramid_tier from tiered
    union all
    select customer_id, 'kaism', cast(kaism as decimal(30, 12)), kaism_tier from tiered
    union all
    select customer_id, 'top_decile', annual_spend, top_decile_tier from tiered
    union all
    select customer_id, 'credit', on_time_payment_rate, credit_tier from tiered
    union all
    select customer_id, 'profit_potential_loyalty', null, profit_potential_loyalty_tier from tiered
    union all
    select customer_id, 'stability', stability, stability_tier from tiered
    union all
    select customer_id, 'prospect', prospect,
        case when prospect >= 75 then 'target' when prospect < 75 then 'nurture' end as prospect_tier
    from prospects_scored

)

select
    customer_id,
    scheme,
    score,
    coalesce(tier, 'pending') as computed_tier
from by_scheme
