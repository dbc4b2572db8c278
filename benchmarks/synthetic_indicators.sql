-- Indicators of a made-up company on one night: a third companies, two thirds consumers, one in ten never bought.
-- Every figure is arithmetic on the row number: u1 to u9 run evenly through [0, 1), each in an order of its own, so the
-- same number of customers gives the same table everywhere. Gaps are as wide as in real sources: consumers have no
-- strategic review, few customers answer surveys, invoices are known for companies only.
with numbered as (

    select
        i,
        'erp-C' || lpad(cast(i as varchar), 8, '0') as customer_id,
        i % 3 = 0 as is_company,
        (i * 611953 + 17) % 1000003 / 1000003.0 as u1,
        (i * 744377 + 29) % 1000003 / 1000003.0 as u2,
        (i * 382903 + 43) % 1000003 / 1000003.0 as u3,
        (i * 938251 + 61) % 1000003 / 1000003.0 as u4,
        (i * 529097 + 71) % 1000003 / 1000003.0 as u5,
        (i * 267271 + 83) % 1000003 / 1000003.0 as u6,
        (i * 866969 + 97) % 1000003 / 1000003.0 as u7,
        (i * 451481 + 101) % 1000003 / 1000003.0 as u8,
        (i * 173207 + 113) % 1000003 / 1000003.0 as u9
    from range(cast($customers as bigint)) as numbers (i)

),

bought as (

    select
        *,
        u1 >= 0.10 as has_orders,
        u1 >= 0.10 and u2 >= 0.15 as has_orders_in_window,
        -- Spend of a year spans the bands of every scheme: companies 20 000 to 22 million, consumers 50 to 12 000.
        case when is_company then 20000 * exp(7 * u2 * u2) else 50 * exp(5.5 * u2) end as spend,
        case when is_company then 0.30 * u3 - 0.02 else 0.45 * u3 end as margin,
        cast(case when u4 < 0.10 then 0 else 1 + floor(30 * u4 * u4) end as integer) as orders_of_year
    from numbered

),

ordered as (

    select
        *,
        case when has_orders_in_window then orders_of_year else 0 end as orders_12m,
        -- A cent-exact amount: several customers share one, which ranks and edges have to live with.
        case when has_orders_in_window then round(spend, 2) else 0 end as spend_12m,
        cast(floor(u5 * 9) as integer) as tenure
    from bought

)

select
    customer_id,
    cast($as_of as date) as as_of_date,
    case when u6 >= 0.03 then spend_12m end as annual_spend,
    case when u6 >= 0.03 then 'measured' else 'missing' end as annual_spend_status,
    case when has_orders then round(spend * (1 + tenure), 2) else 0 end as cumulative_spend,
    case when has_orders then round(spend * (1 + tenure) / (orders_of_year * (1 + tenure) + 1), 2) end
        as average_order_value,
    case when has_orders then orders_of_year * (1 + tenure) + 1 else 0 end as order_frequency,
    case when has_orders then cast(floor(case when has_orders_in_window then 365 else 1500 end * u7 * u7) as integer) end
        as recency_days,
    case when u8 >= 0.02 then round(spend_12m * margin, 2) end as profit_contribution,
    case when u8 >= 0.02 and spend_12m > 0 then round(margin, 6) end as profit_margin,
    tenure as tenure_years,
    has_orders and orders_of_year * (1 + tenure) > 0 as is_repeat_buyer,
    case when has_orders then floor(u9 * 13) / 20 end as cross_buy_rate,
    case when has_orders then cast(floor(u9 * 13) as integer) end as product_diversity,
    case when has_orders then 'category ' || cast(i % 20 as varchar) end as preferred_category,
    case when is_company and has_orders and u3 >= 0.05 then least(round(0.70 + u4 * 0.36, 2), 1) end
        as on_time_payment_rate,
    case when is_company and has_orders and u3 >= 0.05 then round(20 * u5, 2) end as average_days_overdue,
    case when u7 < 0.30 then floor(u6 * 21) / 20 end as csat,
    case when u7 < 0.30 then round(200 * u5 - 100, 0) end as nps,
    cast(case when u9 < 0.05 then 1 else 0 end as integer) as complaints,
    case when u9 < 0.20 then round(24 * u4, 2) end as first_response_hours,
    case when u9 < 0.20 then round(120 * u4, 2) end as resolution_hours,
    case when not is_company then round(u6 * 0.4, 6) end as interaction_rate,
    case when is_company and u5 < 0.85 then cast(1 + floor(80 * u8) as integer) end as industry_rank,
    case when is_company and u5 < 0.90 then floor(u9 * 40 - 10) / 200 end as industry_growth,
    case when is_company and u5 < 0.90 then floor(u8 * 60 - 20) / 100 end as size_growth,
    case when is_company and u5 < 0.80 then floor(u6 * 21) / 20 end as demand_match,
    case
        when not is_company or u5 >= 0.90 then null
        when u3 < 0.05 then 'national_key'
        when u3 < 0.20 then 'regional_leader'
        when u3 < 0.70 then 'ordinary'
        else 'non_core'
    end as strategic_level,
    case
        when not is_company then null
        when u4 < 0.10 then '大型'
        when u4 < 0.35 then '中型'
        when u4 < 0.75 then '小型'
        when u4 < 0.95 then '微型'
        else 'unknown to the rules'
    end as company_size,
    case when has_orders and tenure > 0 then floor(u8 * 41) / 100 end as churn_rate,
    -- A review looks at prospects too; assets of 0.5 to 90 million.
    case when is_company and u5 < 0.85 then round(500000 * exp(5.2 * u8), 2) end as assets,
    case when is_company and u6 >= 0.05 then floor(u9 * 21) / 20 end as industry_fit,
    case when is_company and u3 >= 0.20 then floor(u4 * 21) / 20 end as digital_demand,
    orders_12m,
    cast(floor(orders_12m * u3 * 0.5) as integer) as orders_90d,
    case when has_orders then cast(1 + floor(u9 * 30) as integer) else 0 end as products_held,
    cast(case when has_orders_in_window then least(floor(orders_12m * u9 * 1.5), 90) else 0 end as integer)
        as active_days_90d,
    case when u6 >= 0.03 then 3 * spend_12m end as lifetime_value
from ordered
